/* text/shell.h - words of commands that a text for people contains. */
#ifndef SLUICE_TEXT_SHELL_H
#define SLUICE_TEXT_SHELL_H

/* The text as one word of a command for sh: in single quotes if it needs them (POSIX, Shell Command
 * Language, section 2.2). The caller frees it. */
char *shell_word(const char *text);

#endif
