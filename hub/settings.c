#include "hub/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/file.h"

enum { TOKEN_MAX = 4096, PATH_SIZE_MAX = 4096 };

#define ENDPOINT_DEFAULT "https://huggingface.co"

/* The value of a variable; NULL when it is not set or empty. */
static const char *find(const char *const *environment, const char *name) {
    size_t size = strlen(name);
    for (; *environment; environment++) {
        if (!strncmp(*environment, name, size) && (*environment)[size] == '=')
            return (*environment)[size + 1] ? *environment + size + 1 : NULL;
    }
    return NULL;
}

/* "A", or else "B" + below: a newly allocated path. "~" at the start is $HOME. */
static enum status make_path(char **out, const char *const *environment, const char *base,
                             const char *below, struct error *err) {
    const char *home = find(environment, "HOME");
    struct buffer path;
    assert(base);
    buffer_init(&path, PATH_SIZE_MAX);
    bool tilde = base[0] == '~' && (!base[1] || base[1] == '/');
    if (tilde && !home)
        return error_set(err, STATUS_INVALID, "HOME is not set, %.100s needs it", base);
    enum status status =
        buffer_printf(&path, err, "%s%s%s", tilde ? home : "", tilde ? base + 1 : base, below);
    if (!status) status = buffer_append(&path, "", 1, err);
    if (status)
        buffer_free(&path);
    else
        *out = (char *)path.data;
    return status;
}

/* $HF_HOME, or huggingface/ in the user's cache directory. */
static enum status find_home(char **out, const char *const *environment, struct error *err) {
    const char *own = find(environment, "HF_HOME"), *cache = find(environment, "XDG_CACHE_HOME");
    if (own) return make_path(out, environment, own, "", err);
    return make_path(out, environment, cache ? cache : "~/.cache", "/huggingface", err);
}

static enum status find_cache(struct hub_settings *out, const char *const *environment,
                              struct error *err) {
    const char *own = find(environment, "HF_HUB_CACHE");
    char *home = NULL;
    if (!own) own = find(environment, "HUGGINGFACE_HUB_CACHE");
    enum status status = own ? STATUS_OK : find_home(&home, environment, err);
    if (!status)
        status = make_path(&out->cache, environment, own ? own : home, own ? "" : "/hub", err);
    free(home);
    return status;
}

static enum status set_endpoint(struct hub_settings *out, const char *endpoint, struct error *err) {
    size_t size = strlen(endpoint);
    while (size && endpoint[size - 1] == '/') size--;
    bool http = !strncasecmp(endpoint, "http://", 7) || !strncasecmp(endpoint, "https://", 8);
    if (!http || strcspn(endpoint, " \t\r\n?#@") < size)
        return error_set(err, STATUS_INVALID,
                         "HF_ENDPOINT: found '%.100s', expected an address such as %s", endpoint,
                         ENDPOINT_DEFAULT);
    out->endpoint = strndup(endpoint, size);
    return out->endpoint ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

/* It becomes part of a header, so it must not bring an end of line with it. */
static enum status set_token(struct hub_settings *out, const char *token, size_t size,
                             const char *from, struct error *err) {
    static const char blanks[] = " \t\r\n";
    while (size && strchr(blanks, token[size - 1])) size--;
    while (size && strchr(blanks, *token)) token++, size--;
    for (size_t i = 0; i < size; i++) {
        if (token[i] <= ' ' || token[i] > '~')
            return error_set(err, STATUS_INVALID,
                             "%.100s: the token has a character that no token has", from);
    }
    if (size == 0) return STATUS_OK;
    out->token = strndup(token, size);
    return out->token ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

static enum status read_token_file(struct hub_settings *out, const char *const *environment,
                                   struct error *err) {
    const char *own = find(environment, "HF_TOKEN_PATH");
    char *home = NULL, *path = NULL;
    struct buffer text;
    struct error ignored = ERROR_NONE;
    /* Who has no home has not logged in. */
    if (!own && find_home(&home, environment, &ignored) == STATUS_INVALID) return STATUS_OK;
    buffer_init(&text, TOKEN_MAX);
    enum status status = ignored.status ? error_pass(err, &ignored) : STATUS_OK;
    if (!status) status = make_path(&path, environment, own ? own : home, own ? "" : "/token", err);
    if (!status && !file_read(&text, path, &ignored))
        status = set_token(out, (const char *)text.data, text.size, path, err);
    buffer_free(&text);
    free(path);
    free(home);
    return status;
}

static enum status find_token(struct hub_settings *out, const char *const *environment,
                              struct error *err) {
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *token = find(environment, names[i]);
        if (token) return set_token(out, token, strlen(token), names[i], err);
    }
    return read_token_file(out, environment, err);
}

static bool is_true(const char *value) {
    static const char *const words[] = {"1", "on", "yes", "true"};
    for (size_t i = 0; value && i < sizeof(words) / sizeof(words[0]); i++) {
        if (!strcasecmp(value, words[i])) return true;
    }
    return false;
}

enum status settings_read(struct hub_settings *out, const char *const *environment,
                          struct error *err) {
    const char *endpoint = find(environment, "HF_ENDPOINT");
    *out = (struct hub_settings){.offline = is_true(find(environment, "HF_HUB_OFFLINE"))};
    enum status status = set_endpoint(out, endpoint ? endpoint : ENDPOINT_DEFAULT, err);
    if (!status) status = find_cache(out, environment, err);
    if (!status) status = find_token(out, environment, err);
    if (status) settings_free(out);
    return status;
}

void settings_free(struct hub_settings *settings) {
    free(settings->endpoint);
    free(settings->token);
    free(settings->cache);
    *settings = (struct hub_settings){0};
}
