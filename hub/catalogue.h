/* catalogue.h - the models that have a name of their own here: "ARCHITECTURE:WEIGHTS", as
 * open_clip prints them. Numbers are those of open_clip's docs/openclip_results.csv (commit
 * 89fb801): accuracies in percent, operations as two for each product that is added. */
#ifndef HUB_CATALOGUE_H
#define HUB_CATALOGUE_H

#include "hub/repository.h"

enum catalogue_family {
    CATALOGUE_VIT,
    CATALOGUE_RESNET,
    CATALOGUE_SIGLIP,
    CATALOGUE_EVA,
    CATALOGUE_CONVNEXT,
    CATALOGUE_COCA,
};

struct catalogue_entry {
    const char *name, *repository; /* "RN50:openai", "timm/resnet50_clip.openai" */
    enum catalogue_family family;
    double parameters_m; /* millions */
    double gflops;       /* of one image and one text */
    double image_gflops; /* the image alone: `gflops` less the text tower; 0 when unknown */
    /* Zero-shot top-1 on ImageNet, the mean over 38 datasets, retrieval on Flickr30k and COCO. */
    double imagenet, average, flickr, coco;
};

extern const struct catalogue_entry catalogue[];
extern const size_t catalogue_count;

/* NULL when there is no such name. */
const struct catalogue_entry *catalogue_find(const char *name);

/* False for a family that the engine refuses to load. */
bool catalogue_runs(enum catalogue_family family);
/* "vit", "resnet" ... */
const char *catalogue_family_name(enum catalogue_family family);

/* The repository of a name of the catalogue, or one given as "org/name[@revision]". The
 * architecture alone will do where there is only one of it; STATUS_INVALID says what the
 * choice is. STATUS_NOT_FOUND for what is neither. */
enum status catalogue_resolve(struct repository *out, const char *name, struct error *err);

#endif
