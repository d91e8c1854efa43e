# Which compilers will do, and what every target of ours is compiled with.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(
    FATAL_ERROR
      "GCC ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines (objects are destroyed twice); Coax needs clang 19, or "
      "GCC 13 or newer. With clang 19 installed: cmake --preset release, or -DCMAKE_CXX_COMPILER=clang++-19. "
      "On Debian 12, ./dev build installs it.")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(
    FATAL_ERROR
      "clang ${CMAKE_CXX_COMPILER_VERSION} has no std::expected with libstdc++; Coax needs clang 19 or newer, or GCC "
      "13 or newer. On Debian 12, ./dev build installs clang 19.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()

if(PROJECT_IS_TOP_LEVEL)
  # Precompiled headers are cached too; that asks ccache to trust the options that pch_defines and the like name. It
  # sees our paths as relative ones, so that it finds what another clone has compiled.
  find_program(CCACHE ccache)
  if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env
        CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  endif()
endif()

set(COAX_WARNINGS
    -Wall
    -Wextra
    -Wpedantic
    -Wshadow
    -Wconversion
    -Wno-sign-conversion
    -Wnon-virtual-dtor
    -Woverloaded-virtual
    -Wold-style-cast
    -Wcast-align
    -Wimplicit-fallthrough
    -Wextra-semi
    -Wnull-dereference
    -Wno-missing-field-initializers) # options are structs that are initialised by name, in part
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  list(APPEND COAX_WARNINGS -Wno-missing-designated-field-initializers -Wdeprecated -Wunreachable-code-break)
endif()

# The flags of one target of ours; nothing of this reaches those who use the library.
function(coax_target target)
  target_compile_options(${target} PRIVATE ${COAX_WARNINGS})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang") # so that an object of another clone names no folder of it
    target_compile_options(${target} PRIVATE -ffile-compilation-dir=.)
  endif()
  if(COAX_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${COAX_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${COAX_SANITIZE})
  endif()
endfunction()

# The code of tests is not optimized: it takes a third of the time to compile. The library that they test is.
if(NOT COAX_SANITIZE)
  set(COAX_TEST_OPTIONS -O0)
endif()

# What the tests of a build with sanitizers have in their environment; harmless to the others.
set(COAX_TEST_ENVIRONMENT
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1)
find_program(LLVM_SYMBOLIZER llvm-symbolizer-19 PATHS /usr/lib/llvm-19/bin)
if(LLVM_SYMBOLIZER)
  list(APPEND COAX_TEST_ENVIRONMENT ASAN_SYMBOLIZER_PATH=${LLVM_SYMBOLIZER} UBSAN_SYMBOLIZER_PATH=${LLVM_SYMBOLIZER})
  string(REPLACE "second_deadlock_stack=1" "second_deadlock_stack=1:external_symbolizer_path=${LLVM_SYMBOLIZER}"
                 COAX_TEST_ENVIRONMENT "${COAX_TEST_ENVIRONMENT}")
endif()
