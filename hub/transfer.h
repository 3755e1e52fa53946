/* transfer.h - several HTTP requests at once, each carried through redirects, cut
 * connections and busy servers.
 *
 * The token goes to the hub's own scheme, host and port, and nowhere else. A request is
 * tried again, from where it was, after a lost connection, 408, 429 and 5xx, with growing
 * pauses or the one that the server asks for; a bounded number of times without progress, which
 * is what no attempt has brought before. */
#ifndef HUB_TRANSFER_H
#define HUB_TRANSFER_H

#include "hub/settings.h"

enum { TRANSFER_PARALLEL = 4 };

enum transfer_turn {
    TRANSFER_GO,
    TRANSFER_WAIT, /* not now: ask again soon */
    TRANSFER_SKIP, /* there is nothing to do any more */
};

/* Where a body goes. All are called from transfers_run(). */
struct transfer_sink {
    /* Before each attempt: from which byte on? */
    enum status (*prepare)(void *context, enum transfer_turn *turn, uint64_t *from,
                           struct error *err);
    /* A body comes, from that byte on: the one that was asked for, or 0. */
    enum status (*begin)(void *context, uint64_t from, struct error *err);
    enum status (*write)(void *context, struct bytes part, struct error *err);
    /* The body is over; *again says why it is to be asked for once more, or stays NULL. */
    enum status (*finish)(void *context, const char **again, struct error *err);
};

struct transfer {
    const char *url;
    const char *name; /* for messages */
    /* NULL: only the headers are asked for, and those before a redirect to another host are
     * the ones. */
    const struct transfer_sink *sink;
    void *context;
    /* The answer to a request for headers. */
    char digest[80]; /* X-Linked-Etag, else ETag, without quotes; "" for none, or a long one */
    int64_t size;    /* X-Linked-Size, else Content-Length; -1 when unknown */
};

struct transfer_observer {
    void (*tick)(void *context); /* several times a second, or more often */
    void (*notice)(void *context, const char *message);
    void *context;
};

/* Until all are done or one has failed. */
enum status transfers_run(struct transfer *transfers, size_t count,
                          const struct hub_settings *settings,
                          const struct transfer_observer *observer, struct error *err);

#endif
