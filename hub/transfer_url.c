#include "hub/transfer_url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { URL_SIZE_MAX = 8192 };

static bool same_part(CURLU *left, CURLU *right, CURLUPart part) {
    char *a = NULL, *b = NULL;
    bool same = !curl_url_get(left, part, &a, CURLU_DEFAULT_PORT) &&
                !curl_url_get(right, part, &b, CURLU_DEFAULT_PORT) && !strcasecmp(a, b);
    curl_free(a);
    curl_free(b);
    return same;
}

/* A name in front of the host is how one address is made to look like another. */
static bool has_user(CURLU *url) {
    char *user = NULL;
    bool found = !curl_url_get(url, CURLUPART_USER, &user, 0);
    curl_free(user);
    return found;
}

bool transfer_same_origin(const char *left, const char *right) {
    CURLU *a = curl_url(), *b = curl_url();
    bool same = a && b && !curl_url_set(a, CURLUPART_URL, left, 0) &&
                !curl_url_set(b, CURLUPART_URL, right, 0) && !has_user(b) &&
                same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) &&
                same_part(a, b, CURLUPART_PORT);
    curl_url_cleanup(a);
    curl_url_cleanup(b);
    return same;
}

void transfer_show_host(char out[TRANSFER_HOST_SIZE], const char *url) {
    const char *colons = strstr(url, "://"), *host = colons ? colons + 3 : url;
    size_t size = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', size);
    if (at) {
        size -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    snprintf(out, TRANSFER_HOST_SIZE, "%.*s",
             (int)(size < TRANSFER_HOST_SIZE ? size : TRANSFER_HOST_SIZE), host);
}

static enum status append_escaped(struct buffer *out, const char *part, const char *kept,
                                  struct error *err) {
    enum status status = STATUS_OK;
    for (const char *c = part; *c && !status; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr(kept, *c);
        status = plain ? buffer_append(out, c, 1, err)
                       : buffer_printf(out, err, "%%%02X", (unsigned char)*c);
    }
    return status;
}

/* Takes the buffer's memory, or frees it. */
static enum status take(char **out, struct buffer *url, enum status status, struct error *err) {
    if (!status) status = buffer_append(url, "", 1, err);
    if (status)
        buffer_free(url);
    else
        *out = (char *)url->data;
    return status;
}

enum status transfer_listing_url(char **out, const char *endpoint,
                                 const struct repository *repository, struct error *err) {
    struct buffer url;
    buffer_init(&url, URL_SIZE_MAX);
    enum status status =
        buffer_printf(&url, err, "%s/api/models/%s/revision/", endpoint, repository->name);
    /* A branch may have a slash in its name, which is not one of the path. */
    if (!status) status = append_escaped(&url, repository->revision, "-._~", err);
    return take(out, &url, status, err);
}

enum status transfer_file_url(char **out, const char *endpoint, const struct repository *repository,
                              const char *commit, const char *path, struct error *err) {
    struct buffer url;
    buffer_init(&url, URL_SIZE_MAX);
    enum status status =
        buffer_printf(&url, err, "%s/%s/resolve/%s/", endpoint, repository->name, commit);
    if (!status) status = append_escaped(&url, path, "-._~/", err);
    return take(out, &url, status, err);
}
