# Precompiled headers: for the library and the program of the standard library and fmt only, so that no file of ours
# hides a missing include of another file of ours behind them; for examples, benchmarks and tests also what most of them
# include of ours. Targets that are compiled alike share one.
set(COAX_PRECOMPILED
    <algorithm>
    <array>
    <atomic>
    <charconv>
    <chrono>
    <coroutine>
    <exception>
    <expected>
    <functional>
    <map>
    <memory>
    <mutex>
    <optional>
    <ranges>
    <span>
    <string>
    <string_view>
    <system_error>
    <thread>
    <tuple>
    <unordered_map>
    <utility>
    <variant>
    <vector>
    <fmt/format.h>)

# ccache keys an object by the bytes of the precompiled header it uses, so these must be the same in every clone. With
# clang and Ninja, which runs the compiler in one folder, no path in it or beside it depends on where that folder is:
# our paths are relative, and what clang makes absolute begins with /proc/self/cwd.
set(relocatable_precompiled OFF)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_GENERATOR STREQUAL "Ninja")
  set(relocatable_precompiled ON)
  set(CMAKE_CXX_COMPILE_OPTIONS_CREATE_PCH -Xclang -emit-pch -x c++-header)
  set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -include <PCH_HEADER>) # clang takes the .pch beside it
endif()

function(coax_own_precompiled owner)
  target_precompile_headers(${owner} PRIVATE ${COAX_PRECOMPILED} ${ARGN})
  if(relocatable_precompiled)
    file(RELATIVE_PATH header ${CMAKE_BINARY_DIR} ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${owner}.dir/cmake_pch.hxx)
    set_source_files_properties(
      ${CMAKE_BINARY_DIR}/${header}.cxx
      PROPERTIES COMPILE_OPTIONS
                 "-working-directory=/proc/self/cwd;-Xclang;-fno-pch-timestamp;-Xclang;-include;-Xclang;${header}")
  endif()
endfunction()

# Gives the target the precompiled header of its kind: PROGRAM, EXAMPLE or TEST; or one of its own, for a library.
function(coax_precompile target kind)
  if(NOT COAX_PCH)
    return()
  endif()
  if(kind STREQUAL "LIBRARY")
    coax_own_precompiled(${target})
    return()
  endif()
  string(TOLOWER coax-precompiled-${kind} owner)
  if(NOT TARGET ${owner})
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/${owner}.cpp CONTENT "// Owns a precompiled header.\n")
    add_library(${owner} OBJECT ${PROJECT_BINARY_DIR}/${owner}.cpp)
    coax_target(${owner})
    if(kind STREQUAL "PROGRAM")
      target_link_libraries(${owner} PRIVATE fmt::fmt Threads::Threads)
      coax_own_precompiled(${owner})
    else()
      target_link_libraries(${owner} PRIVATE Coax::http Coax::store Coax::tls)
      set(headers "${PROJECT_SOURCE_DIR}/coax/coax.hpp" "${PROJECT_SOURCE_DIR}/coax/tls/tls.hpp")
      if(kind STREQUAL "TEST")
        target_link_libraries(${owner} PRIVATE GTest::gtest)
        target_compile_options(${owner} PRIVATE ${COAX_TEST_OPTIONS})
        list(APPEND headers <gtest/gtest.h>)
      endif()
      coax_own_precompiled(${owner} ${headers})
    endif()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()
