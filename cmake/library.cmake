# The library, built from one list of sources in float (the product) and in double (tests).
set(layers base kernel core op likelihood model train image map web io api)
if(ISO_CORE_ONLY)
  list(REMOVE_ITEM layers map web io api)
endif()
set(iso_sources)
foreach(layer ${layers})
  file(GLOB layer_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${layer}/*.c ${PROJECT_SOURCE_DIR}/src/${layer}/*.cpp)
  list(APPEND iso_sources ${layer_sources})
endforeach()
file(GLOB isa_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/kernel/isa/*.c)

# Instruction sets: name and flags. The baseline is plain C for any CPU.
set(FLAGS_baseline "")
set(FLAGS_avx2 -mavx2 -mfma -ffp-contract=fast)
set(FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512 -ffp-contract=fast)
set(isas baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(isas baseline avx2 avx512)
endif()
set(ISO_ISAS "${isas}" CACHE STRING "Instruction sets of the kernels; the best that a CPU has is chosen at run time")

# kernel/amx*.c ask the CPU before they do anything; compilers that do not know AMX make them empty files.
set(FLAGS_amx -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16)
include(CheckCCompilerFlag)
if("avx512" IN_LIST ISO_ISAS)
  string(REPLACE ";" " " flags_amx "${FLAGS_amx}")
  check_c_compiler_flag("${flags_amx}" HAS_AMX)
  if(HAS_AMX)
    set_source_files_properties(${PROJECT_SOURCE_DIR}/src/kernel/amx.c ${PROJECT_SOURCE_DIR}/src/kernel/amx_convolution.c
      ${PROJECT_SOURCE_DIR}/src/kernel/amx_spread.c PROPERTIES COMPILE_OPTIONS "${FLAGS_amx}" COMPILE_DEFINITIONS ISO_HAVE_AMX=1)
  endif()
endif()

# Everything that the files of the library are compiled with, beside the flags of their instruction set.
function(iso_compile target precision)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
    ${PROJECT_BINARY_DIR}/generated)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE ${precision} $<$<CONFIG:Debug>:ISO_DEBUG=1>)
  target_link_libraries(${target} PUBLIC iso_third_party)
endfunction()

# Targets objects<suffix> (all but the isa files) and isolario_static<suffix>; the variable iso_objects<suffix> lists
# what the libraries consist of.
function(iso_library suffix precision)
  set(objects $<TARGET_OBJECTS:objects${suffix}>)
  add_library(objects${suffix} OBJECT ${iso_sources} ${web_sources})
  if(web_sources)
    add_dependencies(objects${suffix} web_sources_made)     # make, unlike ninja, does not see this from tests/
  endif()
  iso_compile(objects${suffix} "${precision}")
  target_compile_options(objects${suffix} PRIVATE -ffp-contract=off)
  foreach(isa ${ISO_ISAS})
    add_library(isa_${isa}${suffix} OBJECT ${isa_sources})
    iso_compile(isa_${isa}${suffix} "${precision}")
    target_compile_options(isa_${isa}${suffix} PRIVATE -ffp-contract=off ${FLAGS_${isa}})
    target_compile_definitions(isa_${isa}${suffix} PRIVATE ISO_ISA=${isa} ISO_ISA_${isa}=1)
    string(TOUPPER ${isa} upper)
    target_compile_definitions(objects${suffix} PRIVATE ISO_HAVE_${upper}=1)
    list(APPEND objects $<TARGET_OBJECTS:isa_${isa}${suffix}>)
  endforeach()
  add_library(isolario_static${suffix} STATIC ${objects})
  target_include_directories(isolario_static${suffix} PUBLIC ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(isolario_static${suffix} PUBLIC iso_third_party)
  set(iso_objects${suffix} ${objects} PARENT_SCOPE)
endfunction()

iso_library("" "")
set_target_properties(isolario_static PROPERTIES OUTPUT_NAME isolario)

# The shared library exports what isolario.h marks with ISO_EXPORT, and not the templates of the C++ library either.
if(NOT ISO_CORE_ONLY)
  add_library(isolario_shared SHARED ${iso_objects})
  target_include_directories(isolario_shared PUBLIC ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(isolario_shared PRIVATE iso_third_party)
  target_link_options(isolario_shared PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/isolario.map)
  set_target_properties(isolario_shared PROPERTIES OUTPUT_NAME isolario VERSION ${PROJECT_VERSION} SOVERSION 0
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/isolario.map)
endif()
