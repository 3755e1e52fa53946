/* clipd serve: the server, from the configuration to the last answer.
 *
 * It listens before it loads, so that probes can tell "loading" from "dead"; until the
 * models are there, all but the probes answer 503.
 *
 * SIGTERM and SIGINT: while models are loaded there is nothing to finish, so the first one
 * exits; then the main thread waits for one, and drains; while it drains, another one
 * exits at once. SIGHUP has the configuration read once more (reload.h), after the start if
 * it comes before. They may arrive in any thread: OpenBLAS starts some before main(), so
 * that blocking them here does not block them there. */
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/notify.h"
#include "cli/reload.h"
#include "cli/session.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/model/model.h"

enum { FLAGS_MAX = 64, PRINT_SIZE_MAX = 1 << 20, SIGNAL_EXIT_BASE = 128 };

static const char usage[] =
    "usage: clipd serve [OPTION]...\n\n"
    "Answers over HTTP until SIGTERM or SIGINT; then finishes what is running and exits\n"
    "with 0. A second signal ends it at once. SIGHUP has it read its configuration again: the\n"
    "models change without losing a request.\n\n"
    "  --model DIR          directory of a checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --listen ADDR:PORT   127.0.0.1:8080 by default; :8080 is every IPv4 address\n"
    "  --config FILE        configuration ($CLIPD_CONFIG, else ~/.config/clipd/clipd.yaml)\n"
    "  --threads N          threads that run the models; 0, one for each core, by default\n"
    "  --precision P        fp32, bf16 or int8, for the default model ($CLIPD_PRECISION)\n"
    "  --no-cache           do not keep packed weights in a file ($CLIPD_CACHE_DIR)\n"
    "  --log-level LEVEL    debug, info, warning, error or off\n"
    "  --log-format FORMAT  text or json\n"
    "  --set NAME=VALUE     any key of the configuration, such as limits.body_max=64MiB\n"
    "  --print-config       print the whole configuration as YAML and exit\n"
    "  --check-config       exit with 0 when the configuration is good, else 78\n"
    "  --help               print this\n\n"
    "A flag goes before the environment ($CLIPD_SERVER_LISTEN ...), that before the file.\n";

struct arguments {
    const char *config;
    char *flags[FLAGS_MAX + 1]; /* "name=value", each allocated */
    size_t flags_count;
    bool print, check;
};

struct service {
    struct config config;
    struct registry *registry;
    struct collections *collections; /* NULL: none are kept */
    char *snapshots;                 /* the directory for them; NULL: none are made */
    struct api *api;
    struct http_server *server;
    struct reload *reload;
};

/* ---- signals ---- */

static void exit_cleanly(int number) {
    (void)number;
    _exit(EX_OK);
}

static void exit_now(int number) {
    _exit(SIGNAL_EXIT_BASE + number);
}

/* The main thread, whose id is that of the process, blocks the signal and waits for it. */
static void pass_on(int number) {
    tgkill(getpid(), getpid(), number);
}

static void handle_signals(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/* Blocks the signals in this thread and those that it starts. */
static void block_signals(sigset_t *set) {
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* From the beginning, since by default it ends the process. */
static void handle_reload(sigset_t *set) {
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    block_signals(set);
    sigaction(SIGHUP, &action, NULL);
}

/* ---- the service ---- */

static int fail(const char *subject, const struct error *err) {
    log_message(LOG_ERROR, "%s%s%s", subject, *subject ? ": " : "", err->message);
    return console_exit_code(err->status);
}

static int start(struct service *service) {
    const struct config *config = &service->config;
    struct error err = ERROR_NONE;
    enum status status = registry_create(&service->registry, &config->runtime, &err);
    if (status == STATUS_OK)
        status = api_create(&service->api, &config->api, service->registry, &err);
    if (status == STATUS_OK)
        status = http_server_start(&service->server, &config->server, service->api, &err);
    if (status != STATUS_OK) return fail("", &err);
    bool brackets = strchr(config->server.address, ':') != NULL;
    log_message(LOG_INFO, "listening on http://%s%s%s:%u", brackets ? "[" : "",
                config->server.address, brackets ? "]" : "", http_server_port(service->server));
    return EX_OK;
}

static int load_models(struct service *service) {
    struct error err = ERROR_NONE;
    enum status status = reload_apply(service->registry, &service->config, &err);
    return status == STATUS_OK ? EX_OK : fail("", &err);
}

static int open_store(struct service *service) {
    struct error err = ERROR_NONE;
    if (!service->config.collections.store) return EX_OK;
    enum status status =
        session_open_store(&service->collections, &service->config, service->registry, &err);
    if (status != STATUS_OK) return fail("the store of collections", &err);
    const char *store = service->config.collections.store;
    if (!strstr(store, "://")) service->snapshots = file_join(store, COLLECTIONS_SNAPSHOTS);
    api_set_collections(service->api, service->collections, service->snapshots);
    return EX_OK;
}

static int start_reload(struct service *service, const struct arguments *arguments) {
    struct error err = ERROR_NONE;
    struct reload_options options = {
        .registry = service->registry,
        .running = &service->config,
        .path = arguments->config,
        .flags = (const char *const *)arguments->flags,
    };
    enum status status = reload_start(&service->reload, &options, &err);
    return status == STATUS_OK ? EX_OK : fail("", &err);
}

/* The signal that ends the service; SIGHUP does not. */
static int wait_for_end(struct service *service, const sigset_t *signals) {
    int number;
    for (;;) {
        if (sigwait(signals, &number)) continue;
        if (number != SIGHUP) return number;
        reload_ask(service->reload);
    }
}

/* From "loaded" to the end of the last answer. */
static void answer(struct service *service, sigset_t *signals) {
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    block_signals(signals);
    handle_signals(pass_on);
    api_set_state(service->api, API_READY);
    log_message(LOG_INFO, "ready");
    notify_send("READY=1");

    int number = wait_for_end(service, signals);
    uint32_t delay_ms = service->config.drain_delay_ms;
    log_message(LOG_INFO, "%s: finishing what runs%s", number == SIGTERM ? "SIGTERM" : "SIGINT",
                delay_ms ? ", and what comes until balancers know" : "");
    notify_send("STOPPING=1");
    handle_signals(exit_now);
    sigdelset(signals, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    if (delay_ms) {
        api_set_state(service->api, API_LEAVING);
        struct timespec delay = clock_timespec((uint64_t)delay_ms * CLOCK_NS_PER_MS);
        nanosleep(&delay, NULL);
    }
    api_set_state(service->api, API_DRAINING);
    http_server_stop(service->server, service->config.drain_ms);
    service->server = NULL;
    log_message(LOG_INFO, "stopped");
}

/* Memory of many short-lived threads would lie idle in an arena of each. */
enum { ARENAS_MAX = 2 };

static int serve(struct service *service, const struct arguments *arguments) {
    sigset_t signals;
    mallopt(M_ARENA_MAX, ARENAS_MAX);
    signal(SIGPIPE, SIG_IGN);
    handle_reload(&signals);
    handle_signals(exit_cleanly);
    int code = start(service);
    if (code == EX_OK) code = load_models(service);
    if (code == EX_OK) code = open_store(service);
    if (code == EX_OK) code = start_reload(service, arguments);
    if (code == EX_OK) answer(service, &signals);
    http_server_stop(service->server, 0);
    bool idle = reload_stop(service->reload);
    api_destroy(service->api);
    collections_close(service->collections);
    /* A model that nobody will use may take minutes to load. */
    if (!idle || registry_is_loading(service->registry)) _exit(code);
    free(service->snapshots);
    registry_destroy(service->registry);
    return code;
}

/* ---- the command ---- */

static int print_config(const struct config *config) {
    struct buffer out;
    struct error err = ERROR_NONE;
    buffer_init(&out, PRINT_SIZE_MAX);
    enum status status = config_print(config, &out, &err);
    int code = status == STATUS_OK ? console_write(buffer_view(&out)) : console_fail(&err);
    buffer_free(&out);
    return code;
}

/* A file that the start would need; NULL needs none. */
static bool can_read(const char *path, struct error *err) {
    if (!path || access(path, R_OK) == 0) return true;
    error_set_errno(err, STATUS_NOT_FOUND, "read", path);
    return false;
}

/* What can be known of the models without their weights. */
static int check_config(const struct config *config) {
    int code = session_default_model(config) ? EX_OK : EX_CONFIG;
    for (size_t i = 0; i < config->models_count; i++) {
        const struct engine_options *model = &config->models[i].engine;
        struct model_info info;
        struct error err = ERROR_NONE;
        if (can_read(model->path, &err) && can_read(model->vocab, &err) &&
            can_read(model->profile, &err) && model_describe(&info, model->path, &err) == STATUS_OK)
            continue;
        console_say("clipd: model %s: %s", model->name, err.message);
        code = EX_CONFIG;
    }
    return code;
}

static int run(const struct arguments *arguments) {
    struct service service = {.registry = NULL};
    const char *const *flags = (const char *const *)arguments->flags;
    int code = session_load_config(&service.config, arguments->config, flags);
    if (code != EX_OK) return arguments->check ? EX_CONFIG : code;
    if (arguments->print)
        code = print_config(&service.config);
    else if (arguments->check)
        code = check_config(&service.config);
    else if (!session_default_model(&service.config))
        code = EX_CONFIG;
    else {
        log_init(service.config.log_level, service.config.log_format);
        code = serve(&service, arguments);
    }
    config_free(&service.config);
    return code;
}

/* Adds "name=value", or `value` alone when it brings its name. */
static bool add_flag(struct arguments *arguments, const char *name, const char *value) {
    if (arguments->flags_count == FLAGS_MAX) return false;
    size_t size = strlen(name) + strlen(value) + 2;
    char *flag = malloc(size);
    if (!flag) return false;
    snprintf(flag, size, "%s%s%s", name, *name ? "=" : "", value);
    arguments->flags[arguments->flags_count++] = flag;
    return true;
}

/* EX_OK, or the exit code after a complaint; -1 after --help. */
static int read_options(struct arguments *arguments, int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"listen", required_argument, NULL, 'l'},
        {"config", required_argument, NULL, 'c'},
        {"threads", required_argument, NULL, 't'},
        {"precision", required_argument, NULL, 'P'},
        {"no-cache", no_argument, NULL, 'n'},
        {"log-level", required_argument, NULL, 'v'},
        {"log-format", required_argument, NULL, 'f'},
        {"set", required_argument, NULL, 's'},
        {"print-config", no_argument, NULL, 'p'},
        {"check-config", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "m:l:c:h", options, NULL)) != -1) {
        bool added = true;
        switch (option) {
        case 'm': added = add_flag(arguments, "model", optarg); break;
        case 'l': added = add_flag(arguments, "server.listen", optarg); break;
        case 't': added = add_flag(arguments, "engine.threads", optarg); break;
        case 'P': added = add_flag(arguments, "engine.precision", optarg); break;
        case 'n': added = add_flag(arguments, "engine.cache_dir", "none"); break;
        case 'v': added = add_flag(arguments, "log.level", optarg); break;
        case 'f': added = add_flag(arguments, "log.format", optarg); break;
        case 's': added = add_flag(arguments, "", optarg); break;
        case 'c': arguments->config = optarg; break;
        case 'p': arguments->print = true; break;
        case 'k': arguments->check = true; break;
        case 'h': fputs(usage, stdout); return -1;
        default: return console_usage_hint("serve");
        }
        if (!added) return console_usage("serve", "more than %d options", FLAGS_MAX);
    }
    if (optind < argc)
        return console_usage("serve", "found '%s', expected options only", argv[optind]);
    return EX_OK;
}

int serve_command(int argc, char **argv) {
    struct arguments arguments = {.config = NULL};
    int code = read_options(&arguments, argc, argv);
    if (code == EX_OK) code = run(&arguments);
    for (size_t i = 0; i < arguments.flags_count; i++) free(arguments.flags[i]);
    return code == -1 ? EX_OK : code;
}
