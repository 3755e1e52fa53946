/* model_metrics.h - what /metrics says of the models: their towers' queues and batches, what is
 * loaded, and what was. */
#ifndef API_MODEL_METRICS_H
#define API_MODEL_METRICS_H

#include "api/exposition.h"
#include "core/registry.h"

void model_metrics_put(struct exposition *out, struct registry *registry);

#endif
