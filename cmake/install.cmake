# What `cmake --install` puts where: program, shared and static library, header, pkg-config file, manual page.
include(GNUInstallDirs)
install(TARGETS isolario_program isolario_shared isolario_static)
install(FILES ${PROJECT_SOURCE_DIR}/include/isolario.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/isolario.1)
  install(FILES ${PROJECT_SOURCE_DIR}/docs/isolario.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

# isolario.pc finds its prefix from where it lies, so that `cmake --install --prefix ANYWHERE` needs no new build.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix /prefix/${pc_dir} /prefix)
# Third-party libraries as the linker takes them, for those who link libisolario.a.
set(pc_libraries ${JANSSON_LINK_LIBRARIES} ${HDF5_C_LIBRARIES} ${ZLIB_LIBRARIES} ${OPENSSL_CRYPTO_LIBRARIES}
  ${IGRAPH_LINK_LIBRARIES} ${LZF_LIBRARY} ${MICROHTTPD_LINK_LIBRARIES})
if(ISO_HAVE_DNNL)
  list(APPEND pc_libraries ${DNNL_LIBRARY} -lgomp)
endif()
list(APPEND pc_libraries -lstdc++ -lpthread -lm)
list(JOIN pc_libraries " " pc_libraries)
configure_file(${PROJECT_SOURCE_DIR}/cmake/isolario.pc.in ${PROJECT_BINARY_DIR}/isolario.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/isolario.pc DESTINATION ${pc_dir})
