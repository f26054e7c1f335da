# What the library links. Each is needed in one folder of src/ alone.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C HL)                     # io/
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)     # io/
find_package(ZLIB REQUIRED)                                     # io/
pkg_check_modules(IGRAPH REQUIRED IMPORTED_TARGET igraph)       # map/
find_library(LZF_LIBRARY NAMES lzf)                             # io/: h5py's lzf filter
find_path(LZF_INCLUDE liblzf/lzf.h)
find_path(HNSWLIB_INCLUDE hnswlib/hnswlib.h)                    # map/: neighbours beyond ~50,000 cells
find_library(DNNL_LIBRARY NAMES dnnl)                           # kernel/: products; plain C without it
find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h)
option(ISO_DNNL "Use oneDNN for products" ON)
if(ISO_DNNL AND DNNL_LIBRARY AND DNNL_INCLUDE)
  set(ISO_HAVE_DNNL ON)
endif()
