/* printable.h - text for people, in terminals and logs. Parts of it come from files, networks and
 * the names of things, and a terminal obeys control characters. */
#ifndef CORE_BASE_PRINTABLE_H
#define CORE_BASE_PRINTABLE_H

/* Puts a space in place of each tab and line end, and "?" in place of each byte that belongs to
 * another control character (C0, DEL, C1) or is not valid UTF-8. */
void printable_make(char *text);

#endif
