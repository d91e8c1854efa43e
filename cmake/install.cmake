# What `cmake --install` puts where: the library, its headers under include/coax, and what find_package(Coax) and
# pkg-config read.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(
  TARGETS coax-library
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

# A static library brings the libraries it uses to the link; a shared one has them inside its own list.
set(pc_link_requires "libssl libcrypto libutf8proc libidn2 liburing")
if(BUILD_SHARED_LIBS)
  set(pc_requires "fmt")
  set(pc_libs "-lcoax")
else()
  set(pc_requires "fmt ${pc_link_requires}")
  set(pc_libs "-lcoax -pthread")
endif()
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix /prefix/${pc_dir} /prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/coax.pc.in ${PROJECT_BINARY_DIR}/coax.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/coax.pc DESTINATION ${pc_dir} COMPONENT library)
