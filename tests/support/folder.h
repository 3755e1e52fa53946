/* folder.h - a folder of a test's own. */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

/* A new folder below $TMPDIR or /tmp; aborts without. */
char *folder_make(void);
/* Removes it with everything in it, and frees the path. */
void folder_remove(char *path);

#endif
