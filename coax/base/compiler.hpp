// Refuses compilers that would build Coax wrongly, and names the attributes with which compilers find mistakes.
#pragma once

#if defined(__clang__)
#if __clang_major__ < 19 && !defined(__apple_build_version__)
#error "Coax needs clang 19 or newer, or GCC 13 or newer: older clang has no std::expected with libstdc++."
#endif
#elif defined(__GNUC__) && __GNUC__ < 13
#error "Coax needs GCC 13 or newer, or clang 19: older GCC miscompiles coroutines (objects are destroyed twice)."
#endif

#if defined(__clang__)
// A parameter or object that must live as long as what is returned, or as the object that is constructed.
#define COAX_LIFETIMEBOUND [[clang::lifetimebound]]
// A class that refers to memory which it does not own.
#define COAX_POINTER [[gsl::Pointer(char)]]
#else
#define COAX_LIFETIMEBOUND
#define COAX_POINTER
#endif
