#include "tests/support/kernel_sets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/kernels/isa.h"

static const char *const names[KERNEL_SETS] = {"generic",     "avx2",        "avx512",
                                               "avx512_vnni", "avx512_bf16", "all"};

unsigned kernel_set(size_t index) {
    unsigned features = isa_detect();
    if (isa_cap(&features, names[index], NULL)) abort();
    return features;
}

const char *kernel_set_name(size_t index) {
    return names[index];
}

size_t kernel_list(const struct gemm_kernel *kernels[KERNEL_SETS], enum gemm_precision precision) {
    size_t count = 0;
    for (size_t i = 0; i < KERNEL_SETS; i++) {
        const struct gemm_kernel *kernel = gemm_kernel_find(kernel_set(i), precision);
        size_t j = 0;
        while (j < count && kernels[j] != kernel) j++;
        if (j == count) kernels[count++] = kernel;
    }
    return count;
}

size_t kernel_list_all(const struct gemm_kernel *kernels[KERNELS_MAX]) {
    size_t count = kernel_list(kernels, GEMM_FP32);
    count += kernel_list(kernels + count, GEMM_BF16);
    return count + kernel_list(kernels + count, GEMM_INT8);
}

bool same_bits(const void *a, const void *b, size_t size) {
    return memcmp(a, b, size) == 0;
}

float random_unit(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

/* Stands right before the data. */
struct mapping {
    void *begin;
    size_t size;
};

void *poison_alloc(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct mapping mapping = {.size = (size + sizeof(mapping) + page - 1) / page * page + page};
    mapping.begin =
        mmap(NULL, mapping.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping.begin == MAP_FAILED) abort();
    char *end = (char *)mapping.begin + mapping.size - page, *data = end - size;
    memset(mapping.begin, 0xff, mapping.size - page); /* 0xffff and 0xffffffff are NaN */
    if (mprotect(end, page, PROT_NONE)) abort();
    memcpy(data - sizeof(mapping), &mapping, sizeof(mapping));
    return data;
}

void poison_free(void *data) {
    if (!data) return;
    struct mapping mapping;
    memcpy(&mapping, (char *)data - sizeof(mapping), sizeof(mapping));
    munmap(mapping.begin, mapping.size);
}
