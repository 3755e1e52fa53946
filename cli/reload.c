#include "cli/reload.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/model_path.h"
#include "cli/notify.h"
#include "cli/session.h"
#include "core/base/clock.h"

enum { PRINT_SIZE_MAX = 1 << 20, WAITING_SHARE = 2, NOTICE_SIZE = 64 };

struct reload {
    struct reload_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* protects everything below */
    pthread_cond_t wake;
    bool asked, busy, stopping;
};

/* Requests that wait for a model hold a thread each: some are kept for the others. */
enum status reload_apply(struct registry *registry, const struct config *config,
                         struct error *err) {
    uint32_t waiting_max = config->server.requests_max / WAITING_SHARE;
    for (size_t i = 0; i < config->models_count; i++) {
        const struct registry_model *model = &config->models[i];
        if (model->load == REGISTRY_LAZY) continue; /* may come later */
        enum status status = model_path_check(model->engine.path, err);
        if (status) return status;
    }
    struct registry_setup setup = {
        .models = config->models,
        .models_count = config->models_count,
        .memory_max = config->models_memory_max,
        .waiting_max = waiting_max ? waiting_max : 1,
    };
    return registry_configure(registry, &setup, err);
}

/* Whether both say the same of everything but the models. */
static bool same_rest(const struct config *a, const struct config *b) {
    struct config bare[2] = {*a, *b};
    struct buffer out[2];
    bool printed = true;
    for (int i = 0; i < 2; i++) {
        bare[i].models_count = 0;
        bare[i].models_memory_max = 0;
        bare[i].precision = "auto"; /* is the default model's */
        bare[i].image_limits = a->image_limits;
        bare[i].cache_dir = a->cache_dir;
        buffer_init(&out[i], PRINT_SIZE_MAX);
        printed &= config_print(&bare[i], &out[i], NULL) == STATUS_OK;
    }
    bool same =
        printed && out[0].size == out[1].size && !memcmp(out[0].data, out[1].data, out[0].size);
    buffer_free(&out[0]);
    buffer_free(&out[1]);
    return same;
}

static void run(const struct reload_options *options) {
    struct config config;
    struct error err = ERROR_NONE;
    enum status status = session_read_config(&config, options->path, options->flags, &err);
    if (status == STATUS_OK) {
        if (!config.models_count)
            status = error_set(&err, STATUS_INVALID, "there is no model");
        else
            status = reload_apply(options->registry, &config, &err);
        if (status == STATUS_OK && !same_rest(options->running, &config))
            log_message(LOG_WARNING, "the configuration changed in more than its models: that "
                                     "needs a new start");
        config_free(&config);
    }
    if (status == STATUS_OK)
        log_message(LOG_INFO, "SIGHUP: the configuration was read again");
    else
        log_message(LOG_ERROR, "SIGHUP: everything stays as it was: %s", err.message);
}

/* Type=notify-reload of systemd wants to know since when. */
static void notify_reloading(void) {
    char state[NOTICE_SIZE];
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_ns() / 1000);
    notify_send(state);
}

static void *work(void *argument) {
    struct reload *reload = argument;
    pthread_mutex_lock(&reload->lock);
    for (;;) {
        while (!reload->asked && !reload->stopping) pthread_cond_wait(&reload->wake, &reload->lock);
        if (reload->stopping) break;
        reload->asked = false;
        reload->busy = true;
        pthread_mutex_unlock(&reload->lock);
        notify_reloading();
        run(&reload->options);
        pthread_mutex_lock(&reload->lock);
        reload->busy = false;
        if (!reload->stopping) notify_send("READY=1");
    }
    pthread_mutex_unlock(&reload->lock);
    return NULL;
}

enum status reload_start(struct reload **out, const struct reload_options *options,
                         struct error *err) {
    struct reload *reload = calloc(1, sizeof(*reload));
    if (!reload) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    reload->options = *options;
    pthread_mutex_init(&reload->lock, NULL);
    pthread_cond_init(&reload->wake, NULL);
    if (pthread_create(&reload->thread, NULL, work, reload)) {
        free(reload);
        return error_set(err, STATUS_UNAVAILABLE, "cannot start a thread");
    }
    *out = reload;
    return STATUS_OK;
}

void reload_ask(struct reload *reload) {
    pthread_mutex_lock(&reload->lock);
    reload->asked = true;
    pthread_cond_signal(&reload->wake);
    pthread_mutex_unlock(&reload->lock);
}

bool reload_stop(struct reload *reload) {
    if (!reload) return true;
    pthread_mutex_lock(&reload->lock);
    reload->stopping = true;
    pthread_cond_signal(&reload->wake);
    bool busy = reload->busy;
    pthread_mutex_unlock(&reload->lock);
    if (busy) {
        pthread_detach(reload->thread);
        return false;
    }
    pthread_join(reload->thread, NULL);
    pthread_cond_destroy(&reload->wake);
    pthread_mutex_destroy(&reload->lock);
    free(reload);
    return true;
}
