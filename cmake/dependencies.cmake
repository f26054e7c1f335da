# What the library links, in one target, iso_third_party. Each is needed in the folders of src/ named beside it alone.
# The Debian package of each is in scripts/packages.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)                                  # base/
add_library(iso_third_party INTERFACE)
target_link_libraries(iso_third_party INTERFACE Threads::Threads m)

pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)     # io/, model/, api/
target_link_libraries(iso_third_party INTERFACE PkgConfig::JANSSON)
if(NOT ISO_CORE_ONLY)
  find_package(HDF5 REQUIRED COMPONENTS C)                      # io/
  find_package(ZLIB REQUIRED)                                   # io/
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)              # io/: SHA-256
  pkg_check_modules(TIFF REQUIRED IMPORTED_TARGET libtiff-4)    # io/
  pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)        # io/
  pkg_check_modules(IGRAPH REQUIRED IMPORTED_TARGET igraph)     # map/
  target_include_directories(iso_third_party SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
  target_link_libraries(iso_third_party INTERFACE ${HDF5_C_LIBRARIES} ZLIB::ZLIB OpenSSL::Crypto PkgConfig::TIFF PkgConfig::PNG
    PkgConfig::IGRAPH)

  find_library(LZF_LIBRARY NAMES lzf)                           # io/: h5py's lzf filter
  if(LZF_LIBRARY)
    target_compile_definitions(iso_third_party INTERFACE ISO_HAVE_LZF=1)
    target_link_libraries(iso_third_party INTERFACE ${LZF_LIBRARY})
  endif()
  find_path(HNSWLIB_INCLUDE hnswlib/hnswlib.h)                  # map/: neighbours beyond 200,000 cells
  if(HNSWLIB_INCLUDE)
    target_compile_definitions(iso_third_party INTERFACE ISO_HAVE_HNSWLIB=1)
  endif()
  pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd)   # api/: `isolario explore` as a server
  if(MICROHTTPD_FOUND)
    target_compile_definitions(iso_third_party INTERFACE ISO_HAVE_MICROHTTPD=1)
    target_link_libraries(iso_third_party INTERFACE PkgConfig::MICROHTTPD)
  endif()
endif()

option(ISO_DNNL "Use oneDNN for products; plain C without it" ON)
if(ISO_DNNL AND NOT ISO_CORE_ONLY)
  find_library(DNNL_LIBRARY NAMES dnnl)                         # kernel/
  find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h)
  if(DNNL_LIBRARY AND DNNL_INCLUDE)
    set(ISO_HAVE_DNNL ON)
    target_compile_definitions(iso_third_party INTERFACE ISO_HAVE_DNNL=1)
    target_link_libraries(iso_third_party INTERFACE ${DNNL_LIBRARY} gomp)
    include(CheckLibraryExists)
    check_library_exists(${DNNL_LIBRARY} dnnl_gemm_bf16bf16f32 "" DNNL_HAS_BF16)    # its product in bfloat16
    if(DNNL_HAS_BF16)
      target_compile_definitions(iso_third_party INTERFACE ISO_HAVE_DNNL_BF16=1)
    endif()
  endif()
endif()
message(STATUS "Optional: oneDNN ${DNNL_LIBRARY}, lzf ${LZF_LIBRARY}, hnswlib ${HNSWLIB_INCLUDE}, libmicrohttpd ${MICROHTTPD_VERSION}")
