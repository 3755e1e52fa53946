#include "core/kernels/isa.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned features;
} caps[] = {
    {"generic", 0},
    {"avx2", ISA_AVX2},
    {"avx512", ISA_AVX2 | ISA_AVX512},
    {"avx512_vnni", ISA_AVX2 | ISA_AVX512 | ISA_AVX512_VNNI},
    {"avx512_bf16", ISA_AVX2 | ISA_AVX512 | ISA_AVX512_BF16},
    {"all", ISA_ALL},
};

unsigned isa_detect(void) {
    unsigned features = 0;
#if defined(__x86_64__)
    /* __builtin_cpu_supports() checks that the system saves the registers, too. */
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    features |= ISA_AVX2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
        return features;
    }
    features |= ISA_AVX512;
    if (__builtin_cpu_supports("avx512vnni")) features |= ISA_AVX512_VNNI;
    if (__builtin_cpu_supports("avx512bf16")) features |= ISA_AVX512_BF16;
#endif
    return features;
}

enum status isa_cap(unsigned *features, const char *cap, struct error *err) {
    if (!cap) return STATUS_OK;
    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        if (strcmp(cap, caps[i].name) != 0) continue;
        *features &= caps[i].features;
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID,
                     "instruction set \"%s\" is unknown: use generic, avx2, avx512, avx512_vnni, "
                     "avx512_bf16 or all",
                     cap);
}

const char *isa_name(unsigned features) {
    switch (features) {
    case ISA_ALL: return "avx512 vnni bf16";
    case ISA_AVX2 | ISA_AVX512 | ISA_AVX512_VNNI: return "avx512 vnni";
    case ISA_AVX2 | ISA_AVX512 | ISA_AVX512_BF16: return "avx512 bf16";
    case ISA_AVX2 | ISA_AVX512: return "avx512";
    case ISA_AVX2: return "avx2";
    default: return "generic";
    }
}
