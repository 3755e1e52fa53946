#include "core/towers/rope.h"

#include <math.h>

#include "core/kernels/rows.h"

/* Over the half of a head that one axis has; `position` is on that axis. */
static float *fill_axis(float *out, double position, size_t head_width) {
    size_t bands = head_width / 4;
    for (size_t k = 0; k < bands; k++) {
        double angle = position * pow(10000, -(double)k / (double)bands);
        *out++ = (float)cos(angle);
        *out++ = (float)sin(angle);
    }
    return out;
}

void rope_fill(float *out, struct grid grid, size_t head_width, uint32_t side) {
    for (uint32_t y = 0; y < grid.rows; y++) {
        for (uint32_t x = 0; x < grid.columns; x++) {
            out = fill_axis(out, (double)y / grid.rows * side, head_width);
            out = fill_axis(out, (double)x / grid.columns * side, head_width);
        }
    }
}

void rope_turn(float *row, const float *angles, size_t heads, size_t head_width) {
    for (size_t head = 0; head < heads; head++, row += head_width) {
        for (size_t i = 0; i < head_width; i += 2) {
            float x = row[i], y = row[i + 1], cosine = angles[i], sine = angles[i + 1];
            row[i] = x * cosine - y * sine;
            row[i + 1] = y * cosine + x * sine;
        }
    }
}

void rope_turn_bf16(uint16_t *row, const float *angles, size_t heads, size_t head_width) {
    for (size_t head = 0; head < heads; head++, row += head_width) {
        for (size_t i = 0; i < head_width; i += 2) {
            float x = rows_f32_of(row[i]), y = rows_f32_of(row[i + 1]);
            row[i] = rows_bf16_of(x * angles[i] - y * angles[i + 1]);
            row[i + 1] = rows_bf16_of(y * angles[i] + x * angles[i + 1]);
        }
    }
}
