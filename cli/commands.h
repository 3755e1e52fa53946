/* commands.h - the subcommands. Each gets its own arguments, with its name as the first
 * one, prints to standard output what can be piped and to standard error what is meant
 * for people, and returns the exit code of the process, after sysexits.h:
 *
 *   64 usage   65 bad input   66 no such file or model   69 port in use, or a busy server
 *   70 a bug of ours   71 no memory   74 input or output failed   77 not allowed
 *   78 configuration */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int bench_command(int argc, char **argv);
/* "clipd bench search", found by bench_command(). */
int bench_search(int argc, char **argv);
int classify_command(int argc, char **argv);
int collections_command(int argc, char **argv);
int dedupe_command(int argc, char **argv);
int embed_command(int argc, char **argv);
int eval_command(int argc, char **argv);
int healthcheck_command(int argc, char **argv);
int index_command(int argc, char **argv);
int info_command(int argc, char **argv);
int models_command(int argc, char **argv);
int preprocess_command(int argc, char **argv);
int pull_command(int argc, char **argv);
int quantize_command(int argc, char **argv);
int search_command(int argc, char **argv);
int serve_command(int argc, char **argv);
int tokenize_command(int argc, char **argv);

#endif
