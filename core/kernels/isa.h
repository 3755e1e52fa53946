/* isa.h - which instruction sets the kernels may use.
 *
 * Each feature is a bit of its own because CPUs mix them: VNNI exists without BF16
 * and the other way round. AVX-512 here means F, BW, DQ and VL together; AVX2
 * includes FMA. Nothing else in the program asks the CPU.
 */
#ifndef CORE_KERNELS_ISA_H
#define CORE_KERNELS_ISA_H

#include "core/base/error.h"

enum isa_feature {
    ISA_AVX2 = 1 << 0,
    ISA_AVX512 = 1 << 1,
    ISA_AVX512_VNNI = 1 << 2,
    ISA_AVX512_BF16 = 1 << 3,
    ISA_ALL = ISA_AVX2 | ISA_AVX512 | ISA_AVX512_VNNI | ISA_AVX512_BF16,
};

/* What the CPU and the operating system offer. A feature comes only with those it
 * builds on: no VNNI bit without the AVX-512 bit, no AVX-512 bit without AVX2. */
unsigned isa_detect(void);

/* `features` less what `cap` excludes: "generic", "avx2", "avx512", "avx512_vnni",
 * "avx512_bf16" keep that set and what it builds on, "all" or NULL keeps everything.
 * STATUS_INVALID for another word. */
enum status isa_cap(unsigned *features, const char *cap, struct error *err);

/* What is used, for people: "avx512 vnni bf16", "avx2", "generic". */
const char *isa_name(unsigned features);

#endif
