/* follow.h - what changes in folders, however deep, as the kernel tells it (inotify). */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "core/base/error.h"

struct follow;

/* A file is complete, or a folder has come; or a file is gone; or a folder, with all that is in
 * it, to somewhere else. */
typedef enum status follow_fn(void *context, const char *path, struct error *err);
struct follow_visitor {
    follow_fn *changed, *gone, *folder_gone;
    void *context;
};

enum status follow_open(struct follow **out, struct error *err);
/* NULL is allowed. */
void follow_close(struct follow *follow);
/* Watches a folder and those below it. What happens from now on is told by follow_run(). */
enum status follow_add(struct follow *follow, const char *folder, struct error *err);
/* Until a visitor fails, or a signal ends the process. STATUS_NOT_FOUND when a folder of
 * follow_add() is moved or deleted itself. */
enum status follow_run(struct follow *follow, const struct follow_visitor *visitor,
                       struct error *err);

#endif
