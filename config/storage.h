/* storage.h - memory that lives as long as a configuration and goes all at once. */
#ifndef CONFIG_STORAGE_H
#define CONFIG_STORAGE_H

#include <stddef.h>

struct config_storage;

/* NULL without memory, as with all three. */
struct config_storage *storage_create(void);
/* NULL is allowed. */
void storage_destroy(struct config_storage *storage);

/* Zeroed memory for anything. */
void *storage_take(struct config_storage *storage, size_t size);
/* A copy of `size` bytes, with a NUL behind. */
char *storage_text(struct config_storage *storage, const char *text, size_t size);

#endif
