/* printable.h - text for people, in terminals and logs. Parts of it come from files, networks and
 * the names of things, and a terminal obeys control characters. */
#ifndef CORE_BASE_PRINTABLE_H
#define CORE_BASE_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the UTF-8 character that begins here; 0 for a NUL, and for what is not UTF-8. */
size_t printable_read(uint32_t *point, const char *text);
/* C0, DEL, C1, and what has text run in another direction. */
bool printable_is_control(uint32_t point);

/* Puts a space in place of each tab and line end, and "?" in place of each byte that belongs to
 * another control character or is not valid UTF-8. */
void printable_make(char *text);

#endif
