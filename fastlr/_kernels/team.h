/* Threads that live as long as one kernel call: nothing survives a fork, nothing competes with a BLAS
 * pool between calls. A team costs some ten microseconds to start, so callers use one thread for less work. */
#ifndef FASTLR_TEAM_H
#define FASTLR_TEAM_H

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <stdatomic.h>

#define TEAM_MAX 64

typedef void (*team_task)(void *shared, int member, int size);

#if defined(_WIN32)
#include <windows.h>
typedef HANDLE team_thread;
#define TEAM_RETURN DWORD WINAPI
#define team_start(thread, body, argument) \
    ((*(thread) = CreateThread(NULL, 0, body, argument, 0, NULL)) == NULL)
#define team_join(thread) (WaitForSingleObject(thread, INFINITE), CloseHandle(thread))
#define team_yield() SwitchToThread()
#else
#include <pthread.h>
#include <sched.h>
typedef pthread_t team_thread;
#define TEAM_RETURN void *
#define team_join(thread) pthread_join(thread, NULL)
#define team_yield() sched_yield()

/* Linux tends to put a new thread behind its busy parent, on the same processor, until the next tick some
 * milliseconds later: longer than most calls last. A member may run on any processor but the parent's. */
static inline int team_start(pthread_t *thread, void *(*body)(void *), void *argument) {
#if defined(__linux__) && defined(CPU_CLR)
    cpu_set_t others;
    pthread_attr_t attributes;
    if (sched_getaffinity(0, sizeof others, &others) == 0 && pthread_attr_init(&attributes) == 0) {
        CPU_CLR(sched_getcpu(), &others);
        int failed = CPU_COUNT(&others) == 0 ||
                     pthread_attr_setaffinity_np(&attributes, sizeof others, &others) ||
                     pthread_create(thread, &attributes, body, argument);
        pthread_attr_destroy(&attributes);
        if (!failed) return 0;
    }
#endif
    return pthread_create(thread, NULL, body, argument);
}
#endif

typedef struct {
    team_task task;
    void *shared;
    int member;
    atomic_int *gate; /* 0: wait; else the number of members: go */
} team_call;

static inline void team_pause(int spins) {
    if (spins > 2000) team_yield();
}

static TEAM_RETURN team_body(void *argument) {
    const team_call *call = (const team_call *)argument;
    int size;
    for (int spins = 0; (size = atomic_load(call->gate)) == 0; spins++) team_pause(spins);
    call->task(call->shared, call->member, size);
    return 0;
}

/* Runs task(shared, member, size) for members 0 to size - 1, member 0 on the calling thread, and waits for
 * all. The size is n, or less if threads are short: nobody starts before all who can have come. */
static inline void team_run(int n, team_task task, void *shared) {
    team_thread threads[TEAM_MAX];
    team_call calls[TEAM_MAX];
    atomic_int gate = 0;
    int size = 1;
    n = n > TEAM_MAX ? TEAM_MAX : n;
    while (size < n) {
        calls[size] = (team_call){task, shared, size, &gate};
        if (team_start(&threads[size], team_body, &calls[size])) break;
        size++;
    }
    atomic_store(&gate, size);
    task(shared, 0, size);
    for (int member = 1; member < size; member++) team_join(threads[member]);
}

/* Work is dealt out by a counter: the next piece nobody has taken. */
typedef atomic_long team_counter;
static inline long team_next(team_counter *counter) { return atomic_fetch_add(counter, 1); }

/* Members wait here for each other. They spin, as they meet every few microseconds, and give way to others
 * when that takes long. */
typedef struct {
    atomic_int waiting, round;
} team_barrier;

static inline void team_meet(team_barrier *barrier, int size) {
    const int round = atomic_load(&barrier->round);
    if (size == 1) return;
    if (atomic_fetch_add(&barrier->waiting, 1) == size - 1) {
        atomic_store(&barrier->waiting, 0);
        atomic_store(&barrier->round, round + 1);
        return;
    }
    for (int spins = 0; atomic_load(&barrier->round) == round; spins++) team_pause(spins);
}

#endif
