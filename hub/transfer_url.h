/* transfer_url.h - what must be known of an address before anything is sent there. Parsed by
 * libcurl, so that what is checked is what will be asked. */
#ifndef HUB_TRANSFER_URL_H
#define HUB_TRANSFER_URL_H

#include "hub/repository.h"

enum { TRANSFER_HOST_SIZE = 104 };

/* True when the right one has the scheme, host and port of the left one, and no user. */
bool transfer_same_origin(const char *left, const char *right);

/* Host and port of an URL, for messages: what stands before them may be a password, what
 * stands behind them a signature. */
void transfer_show_host(char out[TRANSFER_HOST_SIZE], const char *url);

/* Where a hub lists the files of a revision, and where it has one of them: newly allocated. */
enum status transfer_listing_url(char **out, const char *endpoint,
                                 const struct repository *repository, struct error *err);
enum status transfer_file_url(char **out, const char *endpoint, const struct repository *repository,
                              const char *commit, const char *path, struct error *err);

#endif
