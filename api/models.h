/* models.h - the models, as GET /models and `clipd info` print it. */
#ifndef API_MODELS_H
#define API_MODELS_H

#include "api/writer.h"
#include "core/registry.h"

void models_write(struct writer *writer, struct registry *registry);
/* The member of both forms of a model, ours and OpenAI's. */
void models_write_aliases(struct writer *writer, const struct registry_view *view);

#endif
