/* kernel_sets.h - what the kernel tests share: the instruction sets of this machine,
 * and memory that gives away who reads or writes too far. */
#ifndef TESTS_SUPPORT_KERNEL_SETS_H
#define TESTS_SUPPORT_KERNEL_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "core/kernels/gemm.h"

enum { KERNEL_SETS = 6, KERNELS_MAX = 3 * KERNEL_SETS };

/* The features of set 0..KERNEL_SETS-1 ("generic" first, "all" last) that this CPU has. */
unsigned kernel_set(size_t index);
const char *kernel_set_name(size_t index);

/* The different kernels of one precision, and of all, that the sets lead to; both
 * return how many. */
size_t kernel_list(const struct gemm_kernel *kernels[KERNEL_SETS], enum gemm_precision precision);
size_t kernel_list_all(const struct gemm_kernel *kernels[KERNELS_MAX]);

/* As memcmp() == 0, and honest about it being the bits that count. */
bool same_bits(const void *a, const void *b, size_t size);

/* Uniform in [-1, 1), the same sequence in every run. */
float random_unit(uint32_t *state);

/* `size` bytes, all of them NaN whether read as fp32 or bf16, with NaN before them and
 * an unmapped page right behind: who reads too far dies, also by masked loads, which the
 * address sanitizer does not see. The end is what is aligned, so the address is odd
 * unless the size is a multiple of 64. */
void *poison_alloc(size_t size);
void poison_free(void *data);

#endif
