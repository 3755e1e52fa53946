#include "hub/transfer_failure.h"

#include <curl/curl.h>

bool transfer_is_busy(long code) {
    return code == 408 || code == 429 || code == 500 || code == 502 || code == 503 || code == 504;
}

bool transfer_is_passing(int result) {
    switch (result) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
    }
}

enum status transfer_refuse(const char *name, const char *host, long code,
                            const struct hub_settings *settings, struct error *err) {
    if (code == 401 && settings->token)
        return error_set(err, STATUS_DENIED,
                         "%s: %s says 401: the token is not valid, or there is no such model", name,
                         host);
    if (code == 401)
        return error_set(err, STATUS_DENIED,
                         "%s: %s says 401: there is no such model, or it takes a token: set "
                         "HF_TOKEN",
                         name, host);
    if (code == 403)
        return error_set(err, STATUS_DENIED,
                         "%s: %s says 403: access must be asked for on the model's page, and "
                         "HF_TOKEN be of the account that has it",
                         name, host);
    if (code == 404)
        return error_set(err, STATUS_NOT_FOUND,
                         "%s: %s says 404: there is no such model, revision or file", name, host);
    return error_set(err, STATUS_UNAVAILABLE, "%s: %s answers with status %ld", name, host, code);
}
