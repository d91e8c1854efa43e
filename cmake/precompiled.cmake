# Precompiled headers: of the standard library and fmt only, so that no file of ours hides a missing include of another
# file of ours behind them. Targets that are compiled alike share one.
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

# Gives the target the precompiled header of its kind: that of the library, that of the tests (with GoogleTest), or that
# of everything else.
function(coax_precompile target)
  if(NOT COAX_PCH)
    return()
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang") # ccache compares contents, not times
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  if(target STREQUAL "coax-library")
    target_precompile_headers(${target} PRIVATE ${COAX_PRECOMPILED})
    return()
  endif()
  set(owner coax-precompiled)
  if(ARGV1 STREQUAL "TESTS")
    set(owner coax-precompiled-tests)
  endif()
  if(NOT TARGET ${owner})
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/${owner}.cpp CONTENT "// Owns a precompiled header.\n")
    add_library(${owner} OBJECT ${PROJECT_BINARY_DIR}/${owner}.cpp)
    target_link_libraries(${owner} PRIVATE fmt::fmt Threads::Threads)
    coax_target(${owner})
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      target_compile_options(${owner} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    endif()
    if(ARGV1 STREQUAL "TESTS")
      target_link_libraries(${owner} PRIVATE GTest::gtest)
      target_precompile_headers(${owner} PRIVATE ${COAX_PRECOMPILED} <gtest/gtest.h>)
    else()
      target_precompile_headers(${owner} PRIVATE ${COAX_PRECOMPILED})
    endif()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()
