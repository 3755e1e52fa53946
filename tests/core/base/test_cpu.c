/* Cores from cgroup files as kernels and container engines write them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cpu.h"
#include "tests/support/program.h"

static char root[] = "/tmp/clipd-cgroup-XXXXXX";

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static uint32_t cores(const char *self) {
    char path[256];
    write_file("self", self);
    snprintf(path, sizeof(path), "%s/self", root);
    return cpu_cgroup_cores(root, path);
}

static void clean(void) {
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s/*", root);
    if (system(command) != 0) abort(); /* no assertion: main() calls it, too */
}

START_TEST(no_quota) {
    clean();
    ck_assert_uint_eq(cores("0::/\n"), UINT32_MAX);
    write_file("cpu.max", "max 100000\n");
    ck_assert_uint_eq(cores("0::/\n"), UINT32_MAX);
    ck_assert_uint_eq(cpu_cgroup_cores("/nonexistent", "/nonexistent"), UINT32_MAX);
}
END_TEST

START_TEST(version_2) {
    clean();
    write_file("cpu.max", "200000 100000\n"); /* as seen inside of a container */
    ck_assert_uint_eq(cores("0::/\n"), 2);
    write_file("cpu.max", "150000 100000\n");
    ck_assert_uint_eq(cores("0::/\n"), 2);
    write_file("cpu.max", "10000 100000\n");
    ck_assert_uint_eq(cores("0::/\n"), 1);
}
END_TEST

START_TEST(version_2_parents_count) {
    clean();
    write_file("a/cpu.max", "300000 100000\n");
    write_file("a/b/cpu.max", "max 100000\n");
    ck_assert_uint_eq(cores("0::/a/b\n"), 3);
    write_file("a/b/cpu.max", "100000 100000\n");
    ck_assert_uint_eq(cores("0::/a/b\n"), 1);
    ck_assert_uint_eq(cores("0::/other\n"), UINT32_MAX);
}
END_TEST

START_TEST(version_1) {
    clean();
    write_file("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "400000\n");
    write_file("cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    write_file("cpu,cpuacct/docker/cpu.cfs_quota_us", "-1\n");
    ck_assert_uint_eq(cores("5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n"), 4);
    ck_assert_uint_eq(cores("5:cpuset:/docker/x\n"), UINT32_MAX);
}
END_TEST

START_TEST(this_machine) {
    ck_assert_uint_ge(cpu_usable_cores(), 1);
    char name[64], cut[4];
    cpu_model_name(name, sizeof(name));
    ck_assert_uint_ge(strlen(name), 3);
    ck_assert_ptr_null(strpbrk(name, ":\n"));
    cpu_model_name(cut, sizeof(cut));
    ck_assert_uint_eq(strlen(cut), 3);
    ck_assert_int_eq(strncmp(name, cut, 3), 0);
}
END_TEST

int main(void) {
    if (!mkdtemp(root)) return 1;
    TCase *tcase = tcase_create("cpu");
    tcase_add_test(tcase, no_quota);
    tcase_add_test(tcase, version_2);
    tcase_add_test(tcase, version_2_parents_count);
    tcase_add_test(tcase, version_1);
    tcase_add_test(tcase, this_machine);
    int failed = program_run("cpu", tcase, CK_NOFORK);
    clean();
    return failed != 0 || remove(root) != 0;
}
