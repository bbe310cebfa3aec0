#include "gateway/process_env.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

void process_reexec(char **argv)
{
#if defined(__x86_64__)
    /*
     * On AMD's Zen, glibc 2.36 copies with `rep movsb`, which is slow for sizes that are not
     * aligned, and libssh copies each byte 3 or 4 times: raising the threshold saves 20 to 33 % of
     * the CPU per byte there, and changes little elsewhere. glibc reads the variable only when a
     * program starts. Someone who has set it knows better; it also ends the recursion. A program
     * with raised privileges (AT_SECURE) would lose the variable and start itself for ever.
     */
    static const char variable[] = "GLIBC_TUNABLES";

    if (getauxval(AT_SECURE) != 0 || getenv(variable) != NULL)
        return;
    if (setenv(variable, "glibc.cpu.x86_rep_movsb_threshold=1073741824", 1) == -1)
        return;                          /* slower, but right */
    (void)execv("/proc/self/exe", argv); /* the same */
#else
    (void)argv;
#endif
}

void process_prepare(void)
{
    struct rlimit files;

    /* A peer that went away is an error of the write, not of the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    /* So is a file that may not grow further (RLIMIT_FSIZE). */
    (void)signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* accepting pauses when they run out */
}

size_t process_cpu_count(size_t max)
{
    cpu_set_t set;
    size_t n;

    /* Fails only on machines with more than CPU_SETSIZE (1024) CPUs. */
    if (sched_getaffinity(0, sizeof(set), &set) == -1)
        return max;
    n = (size_t)CPU_COUNT(&set);
    return n < max ? n : max;
}
