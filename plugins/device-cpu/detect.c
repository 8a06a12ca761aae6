/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <crayon/file.h>

#include "cpu.h"

#if CPU_ARM && defined(__linux__)
#include <sys/auxv.h>
#endif
#if CPU_X86
#include <cpuid.h>
#endif

const char *cpu_level_name(enum cpu_level level)
{
    static const char *const names[] = {"plain", "avx2", "avx512", "neon"};
    return names[level];
}

/* Is `word` one of the names in the comma-separated list? */
static bool listed(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (list != NULL && *list != '\0') {
        size_t span = strcspn(list, ",");
        if (span == length && memcmp(list, word, length) == 0)
            return true;
        list += span + (list[span] == ',');
    }
    return false;
}

bool cpu_blas_allowed(void)
{
#ifdef HAVE_OPENBLAS
    return !listed(getenv("CRAYON_CPU_DISABLE"), "openblas");
#else
    return false;
#endif
}

#define CPUINFO "/proc/cpuinfo"
#define CPUINFO_LIMIT (1 << 20)

/* The first "model name" that the system tells, where it tells any. */
static void read_title(char title[128])
{
    static const char key[] = "\nmodel name";
    char *text = NULL;
    size_t size;
    snprintf(title, 128, "CPU");
    if (cr_file_read(CPUINFO, CPUINFO_LIMIT, &text, &size, NULL) == 0) {
        const char *line = strstr(text, key);
        const char *colon = line == NULL ? NULL : strchr(line, ':');
        if (colon != NULL) {
            colon += 1 + (colon[1] == ' ');
            snprintf(title, 128, "%.*s", (int)strcspn(colon, "\n"), colon);
        }
    }
    cr_free(text);
}

#if CPU_X86
/* A feature that not every compiler knows by name. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

void cpu_detect(struct cpu_features *features)
{
    const char *off = getenv("CRAYON_CPU_DISABLE");
    memset(features, 0, sizeof(*features));
    read_title(features->title);
#if CPU_X86
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c() &&
                !listed(off, "avx2");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  !listed(off, "avx512");
    features->level = avx512 ? CPU_AVX512 : avx2 ? CPU_AVX2 : CPU_PLAIN;
    features->vnni = avx512 && __builtin_cpu_supports("avx512vnni") && !listed(off, "vnni");
#elif CPU_ARM
    features->level = listed(off, "neon") ? CPU_PLAIN : CPU_NEON;
#if defined(__linux__) && defined(HWCAP_ASIMDDP)
    features->dotprod = features->level == CPU_NEON && !listed(off, "dotprod") &&
                        (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
#endif
#ifdef _SC_LEVEL1_DCACHE_SIZE
    features->l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    features->l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    features->l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
}
