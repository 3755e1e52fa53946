#include "core/recipe.h"

enum status recipe_preprocess(struct preprocess *out, const struct model_info *model,
                              struct error *err) {
    const struct model_preprocess *from = &model->preprocess;
    if (from->filter > RESAMPLE_HAMMING) {
        return error_set(err, STATUS_UNSUPPORTED, "resample filter %u is not one of Pillow's 0..5",
                         from->filter);
    }
    *out = (struct preprocess){
        .size = model->image_size,
        .resize_to = from->resize_to,
        .resize = (enum preprocess_resize)from->resize,
        .order = from->convert_first ? PREPROCESS_HF : PREPROCESS_OPENAI,
        .filter = (enum resample_filter)from->filter,
        .fill = {from->fill[0], from->fill[1], from->fill[2]},
    };
    return STATUS_OK;
}

enum status recipe_tokenizer(struct tokenizer_options *out, const struct model_info *model,
                             const char *mode, struct error *err) {
    static const enum tokenizer_mode by_naming[] = {
        [MODEL_NAMES_OPENAI] = TOKENIZER_OPENAI,
        [MODEL_NAMES_OPEN_CLIP] = TOKENIZER_OPEN_CLIP,
        [MODEL_NAMES_HF] = TOKENIZER_HF_FAST,
    };
    *out = (struct tokenizer_options){.mode = by_naming[model->naming],
                                      .drop_end = model->tokenizer.drop_end};
    if (model->tokenizer.canonicalize)
        out->clean = TOKENIZER_CANONICALIZE;
    else if (model->tokenizer.keep_case)
        out->clean = TOKENIZER_WHITESPACE;
    if (!mode || tokenizer_mode_parse(&out->mode, mode)) return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "tokenizer \"%.32s\" is not one of openai, open_clip, hf-fast", mode);
}
