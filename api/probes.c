/* What orchestrators and people ask of the process itself. None of these touches a
 * queue or a model, so that a busy service is not taken for a dead one. Readiness asks the
 * store, too, which may be a file on a disk that hangs. */
#include "api/context.h"
#include "api/openapi_text.h"
#include "api/response.h"
#include "api/writer.h"

enum status probes_livez(struct api *api, struct http_request *request,
                         struct http_response *response, struct error *err) {
    (void)api;
    (void)request;
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"status\":\"live\"}");
}

static void write_state(void *context, const struct registry_view *view) {
    writer_key(context, view->name);
    writer_text(context, registry_state_name(view->state));
}

enum status probes_readyz(struct api *api, struct http_request *request,
                          struct http_response *response, struct error *err) {
    (void)request;
    enum status status = STATUS_OK;
    switch ((enum api_state)atomic_load(&api->state)) {
    case API_LOADING: return error_set(err, STATUS_UNAVAILABLE, "loading models");
    case API_LEAVING:
    case API_DRAINING: return error_set(err, STATUS_UNAVAILABLE, "shutting down");
    case API_READY: break;
    }
    struct error reason = ERROR_NONE;
    if (api->collections) status = collections_ping(api->collections, &reason);
    /* Whatever it is, requests should not come here. */
    if (status) return error_set(err, STATUS_UNAVAILABLE, "%s", reason.message);
    struct writer writer;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "status");
    writer_text(&writer, "ready");
    writer_key(&writer, "models");
    writer_begin_object(&writer);
    registry_each(api->registry, write_state, &writer);
    writer_end_object(&writer);
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

enum status probes_openapi(struct api *api, struct http_request *request,
                           struct http_response *response, struct error *err) {
    (void)api;
    (void)request;
    response_init(response, 200, "application/yaml");
    return buffer_append(&response->body, openapi_text, openapi_text_size, err);
}
