/* service.h - the whole service but the sockets, over the starter model: for tests that ask it
 * as a client would, one request at a time. The model is "starter", "small" and
 * "a/b"; it takes 4 images, or 64 texts, at most. */
#ifndef TESTS_SUPPORT_SERVICE_H
#define TESTS_SUPPORT_SERVICE_H

#include <jansson.h>

#include "api/api.h"
#include "tests/support/fake_request.h"

/* A PNG of one pixel, as base64. */
#define SERVICE_PIXEL                                                                              \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg" \
    "gg=="

/* A text of many words; longer than the starter's context of 32. */
#define SERVICE_WORDS "a a a a a a a a a a a a a a a a a a a a "
#define SERVICE_LONG_TEXT SERVICE_WORDS SERVICE_WORDS SERVICE_WORDS SERVICE_WORDS

extern struct api *service_api;
extern struct http_response service_response; /* the last one */
extern struct buffer service_pixel;           /* the file */

/* Unchecked fixture, and a checked one around each test. */
void service_open(void);
void service_close(void);
void service_begin(void);
void service_end(void);

/* All of a request's way; the answer's status. */
int service_run(struct fake_request *fake);
/* The last answer's header, "" when there is none, and its JSON, which is to be released. */
const char *service_header(const char *name);
json_t *service_body(void);
/* Posts JSON, or gets, and checks the status; the answer is to be released. */
json_t *service_post(const char *path, const char *text, int status);
json_t *service_get(const char *path, int status);

/* A member that is a string, else "(none)"; a number of an array. */
const char *service_string(const json_t *object, const char *name);
double service_number(const json_t *array, size_t index);

/* A failure in the form of our own routes; index -1 for none. */
void service_check_problem(const char *path, const char *text, int status, const char *code,
                           const char *pointer, int index);

#endif
