"""Threads for the length of one kernel call; see team.h."""

cdef extern from "team.h" nogil:
    ctypedef long team_counter
    ctypedef struct team_barrier:
        pass
    void team_run(int n, void (*task)(void*, int, int) noexcept, void* shared) noexcept
    long team_next(team_counter* counter) noexcept
    void team_meet(team_barrier* barrier, int size) noexcept
