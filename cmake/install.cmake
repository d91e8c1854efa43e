# What `cmake --install` puts where: the components of the library, their headers under include/coax, and what
# find_package(Coax) and pkg-config read.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(
  TARGETS coax-core-library coax-tls-library coax-http-library coax-store-library
  EXPORT CoaxTargets
  COMPONENT library
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Coax)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/CoaxConfig.cmake.in ${PROJECT_BINARY_DIR}/CoaxConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/CoaxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/CoaxConfig.cmake ${PROJECT_BINARY_DIR}/CoaxConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT library)
install(EXPORT CoaxTargets NAMESPACE Coax:: DESTINATION ${package_dir} COMPONENT library)

# One file for each component. A static library brings the libraries it uses to the link; a shared one has them inside
# its own list.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix /prefix/${pc_dir} /prefix)
function(coax_pkg_config pc_name pc_requires pc_requires_static)
  set(pc_libs "-l${pc_name}")
  if(NOT BUILD_SHARED_LIBS)
    string(APPEND pc_requires " ${pc_requires_static}")
    string(APPEND pc_libs " -pthread")
  endif()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/coax.pc.in ${PROJECT_BINARY_DIR}/${pc_name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${pc_name}.pc DESTINATION ${pc_dir} COMPONENT library)
endfunction()
coax_pkg_config(coax "fmt" "libutf8proc libidn2 liburing")
coax_pkg_config(coax-tls "coax = ${PROJECT_VERSION}" "libssl libcrypto")
coax_pkg_config(coax-http "coax = ${PROJECT_VERSION}"
                "libcrypto libsodium prometheus-cpp-core zlib libbrotlienc libbrotlidec libzstd")
coax_pkg_config(coax-store "coax-http = ${PROJECT_VERSION}" "sqlite3")
