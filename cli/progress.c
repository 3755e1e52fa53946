#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/console.h"
#include "core/base/clock.h"

enum { BAR_WIDTH = 30, DRAW_MS = 200, SAMPLE_MS = 1000, TENTHS = 10, SECONDS_SHOWN_MAX = 359999 };

void progress_size(char out[PROGRESS_SIZE_TEXT], double bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    /* 999.95 would be printed as 1000.0. */
    while (bytes >= (unit ? 999.95 : 1000) && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, PROGRESS_SIZE_TEXT, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void progress_begin(struct progress *progress, bool quiet) {
    *progress = (struct progress){.quiet = quiet, .terminal = isatty(STDERR_FILENO)};
}

/* Half of the rate is of the last second, a quarter of the one before it, and so on. */
static void update_rate(struct progress *progress, uint64_t now_ns) {
    uint64_t passed_ns = now_ns - progress->sample_ns;
    if (progress->sample_ns && passed_ns < (uint64_t)SAMPLE_MS * CLOCK_NS_PER_MS) return;
    if (progress->sample_ns && progress->have >= progress->sample) {
        double rate = (double)(progress->have - progress->sample) * 1e9 / (double)passed_ns;
        progress->rate = progress->rate > 0 ? (progress->rate + rate) / 2 : rate;
    }
    progress->sample_ns = now_ns;
    progress->sample = progress->have;
}

static void print_time_left(const struct progress *progress) {
    double seconds = (double)(progress->total - progress->have) / progress->rate;
    if (!(seconds < SECONDS_SHOWN_MAX)) return;
    unsigned whole = (unsigned)seconds + 1;
    if (whole >= 3600)
        fprintf(stderr, ", %u:%02u:%02u left", whole / 3600, whole / 60 % 60, whole % 60);
    else
        fprintf(stderr, ", %u:%02u left", whole / 60, whole % 60);
}

static void draw_bar(const struct progress *progress, double share) {
    char have[PROGRESS_SIZE_TEXT], total[PROGRESS_SIZE_TEXT], rate[PROGRESS_SIZE_TEXT];
    int filled = (int)(share * BAR_WIDTH);
    progress_size(have, (double)progress->have);
    progress_size(total, (double)progress->total);
    fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %s of %s", filled, "##############################",
            BAR_WIDTH - filled, "", share * 100, have, total);
    if (progress->rate > 0) {
        progress_size(rate, progress->rate);
        fprintf(stderr, ", %s/s", rate);
        print_time_left(progress);
    }
    fputs("\033[K", stderr);
}

void progress_update(struct progress *progress, uint64_t have, uint64_t total) {
    if (progress->quiet || total == 0) return;
    uint64_t now_ns = clock_now_ns();
    double share = (double)have / (double)total;
    progress->have = have;
    progress->total = total;
    if (progress->terminal) {
        update_rate(progress, now_ns);
        if (now_ns - progress->shown_ns < (uint64_t)DRAW_MS * CLOCK_NS_PER_MS) return;
        progress->shown_ns = now_ns;
        draw_bar(progress, share);
        return;
    }
    unsigned tenths = (unsigned)(share * TENTHS);
    if (tenths <= progress->tenths || tenths >= TENTHS) return;
    char text[PROGRESS_SIZE_TEXT];
    progress->tenths = tenths;
    progress_size(text, (double)total);
    fprintf(stderr, "  %u %% of %s\n", tenths * 100 / TENTHS, text);
}

void progress_print(struct progress *progress, const char *format, ...) {
    va_list args;
    if (progress->quiet) return;
    progress_end(progress);
    va_start(args, format);
    console_vsay(format, args);
    va_end(args);
}

void progress_end(struct progress *progress) {
    if (!progress->quiet && progress->terminal) fputs("\r\033[K", stderr);
    progress->shown_ns = 0;
}
