/* Threads that live as long as one kernel call: nothing survives a fork, nothing competes with a BLAS
 * pool between calls. A team costs some ten microseconds to start, so callers use one thread for less work. */
#ifndef FASTLR_TEAM_H
#define FASTLR_TEAM_H

#include <stdatomic.h>

#define TEAM_MAX 64

typedef void (*team_task)(void *shared, int member);

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
#define team_start(thread, body, argument) pthread_create(thread, NULL, body, argument)
#define team_join(thread) pthread_join(thread, NULL)
#define team_yield() sched_yield()
#endif

typedef struct {
    team_task task;
    void *shared;
    int member;
} team_call;

static TEAM_RETURN team_body(void *argument) {
    const team_call *call = (const team_call *)argument;
    call->task(call->shared, call->member);
    return 0;
}

/* Runs task(shared, member) for members 0 to n-1, member 0 on the calling thread, and waits for all. A member
 * whose thread cannot be had runs on the calling thread after the others, so tasks must not wait for each
 * other: they share work by team_next. */
static void team_run(int n, team_task task, void *shared) {
    team_thread threads[TEAM_MAX];
    team_call calls[TEAM_MAX];
    int started = 1;
    n = n > TEAM_MAX ? TEAM_MAX : n;
    for (int member = 1; member < n; member++) {
        calls[member] = (team_call){task, shared, member};
        if (team_start(&threads[member], team_body, &calls[member])) break;
        started++;
    }
    task(shared, 0);
    for (int member = 1; member < started; member++) team_join(threads[member]);
}

/* Work is dealt out by a counter: the next piece nobody has taken. */
typedef atomic_long team_counter;
static inline long team_next(team_counter *counter) { return atomic_fetch_add(counter, 1); }

#endif
