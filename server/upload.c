#include "server/upload.h"

#include <pthread.h>
#include <stdlib.h>

struct upload {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool handlers_turn;
    bool abandoned; /* by the client */
    bool left;      /* by the handler */
};

enum status upload_create(struct upload **out, struct error *err) {
    struct upload *upload = calloc(1, sizeof(*upload));
    if (!upload) return error_set(err, STATUS_NO_MEMORY, "out of memory for a long body");
    pthread_mutex_init(&upload->lock, NULL);
    pthread_cond_init(&upload->changed, NULL);
    upload->handlers_turn = true;
    *out = upload;
    return STATUS_OK;
}

void upload_destroy(struct upload *upload) {
    if (!upload) return;
    pthread_cond_destroy(&upload->changed);
    pthread_mutex_destroy(&upload->lock);
    free(upload);
}

bool upload_ask(struct upload *upload, void (*resume)(void *context), void *context) {
    pthread_mutex_lock(&upload->lock);
    bool there = !upload->abandoned;
    if (there) upload->handlers_turn = false;
    pthread_mutex_unlock(&upload->lock);
    if (!there) return false;
    resume(context);
    pthread_mutex_lock(&upload->lock);
    while (!upload->handlers_turn) pthread_cond_wait(&upload->changed, &upload->lock);
    there = !upload->abandoned;
    pthread_mutex_unlock(&upload->lock);
    return there;
}

bool upload_leave(struct upload *upload) {
    pthread_mutex_lock(&upload->lock);
    bool there = !upload->abandoned;
    upload->left = true;
    upload->handlers_turn = false;
    pthread_cond_signal(&upload->changed);
    pthread_mutex_unlock(&upload->lock);
    return there;
}

void upload_give(struct upload *upload) {
    pthread_mutex_lock(&upload->lock);
    upload->handlers_turn = true;
    pthread_cond_signal(&upload->changed);
    pthread_mutex_unlock(&upload->lock);
}

void upload_abandon(struct upload *upload) {
    pthread_mutex_lock(&upload->lock);
    if (!upload->left) {
        upload->abandoned = true;
        upload->handlers_turn = true;
        pthread_cond_signal(&upload->changed);
        while (!upload->left) pthread_cond_wait(&upload->changed, &upload->lock);
    }
    pthread_mutex_unlock(&upload->lock);
}
