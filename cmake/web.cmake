# The page of `isolario explore`: its scripts and styles (src/web/page/) joined, and explorer.wasm, the part of the library that
# runs in it (src/web/wasm/), compiled by clang for WebAssembly with wasi-libc. Included, this file adds the commands that make
# them; run with -P, it joins files. Sets page_files for embed.cmake; without the tools explorer.wasm is an empty file, and
# `explore` tells how to get it.
if(CMAKE_SCRIPT_MODE_FILE)
  file(WRITE ${OUT} "")
  foreach(file ${FILES})
    file(READ ${file} text)
    file(APPEND ${OUT} "${text}")
  endforeach()
  return()
endif()

set(page_files)
if(ISO_CORE_ONLY)
  return()
endif()

# What the page is joined from, in this order.
set(page_scripts dom.js data.js wasm.js expression.js colors.js view.js cellgrid.js budget.js points.js ground.js sea.js kept.js painter.js
  canvas2d.js picture.js gestures.js labels.js groups.js export.js genebox.js profile.js image.js thumbnails.js place.js genecourses.js imagestrip.js pathpanel.js
  differential.js selections.js sliders.js legend.js
  keys.js main.js)
set(page_styles style.css)
set(page_dir ${PROJECT_SOURCE_DIR}/src/web/page)
set(page_made ${PROJECT_BINARY_DIR}/generated/page)
file(MAKE_DIRECTORY ${page_made})
list(TRANSFORM page_scripts PREPEND ${page_dir}/)
list(TRANSFORM page_styles PREPEND ${page_dir}/)
foreach(pair "explorer.js;page_scripts" "explorer.css;page_styles" "explorer.html;page_html")
  list(GET pair 0 name)
  list(GET pair 1 list)
  set(page_html ${page_dir}/index.html)
  add_custom_command(OUTPUT ${page_made}/${name} VERBATIM
    COMMAND ${CMAKE_COMMAND} "-DFILES=${${list}}" -DOUT=${page_made}/${name} -P ${CMAKE_CURRENT_LIST_FILE}
    DEPENDS ${${list}} ${CMAKE_CURRENT_LIST_FILE})
  list(APPEND page_files ${page_made}/${name})
endforeach()
list(APPEND page_files ${page_made}/explorer.wasm)

find_program(ISO_WASM_CC NAMES clang clang-14)
set(wasm_flags --target=wasm32-wasi)
set(no_wasm TRUE)
if(ISO_WASM_CC)      # clang alone cannot: it needs lld, wasi-libc and its own runtime for wasm32
  execute_process(COMMAND ${ISO_WASM_CC} ${wasm_flags} -mexec-model=reactor -x c /dev/null -o ${page_made}/nothing.wasm
    RESULT_VARIABLE no_wasm OUTPUT_QUIET ERROR_QUIET)
endif()
if(no_wasm)
  message(STATUS "Without clang, lld, wasi-libc and libclang-rt for wasm32: no page for `isolario explore`")
  add_custom_command(OUTPUT ${page_made}/explorer.wasm COMMAND ${CMAKE_COMMAND} -E touch ${page_made}/explorer.wasm)
  return()
endif()

file(GLOB wasm_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/core/*.c ${PROJECT_SOURCE_DIR}/src/op/*.c
  ${PROJECT_SOURCE_DIR}/src/likelihood/*.c ${PROJECT_SOURCE_DIR}/src/kernel/isa/*.c ${PROJECT_SOURCE_DIR}/src/web/*.c
  ${PROJECT_SOURCE_DIR}/src/web/wasm/*.c)
foreach(name base/alloc base/error base/quantile base/rng kernel/amx kernel/amx_convolution kernel/amx_spread kernel/gemm kernel/layer kernel/convolution kernel/winograd model/vae model/layers model/one_gene model/image_vae
    train/decode train/decode_gene map/centers map/density map/gmm map/lift map/mixture map/place
    map/route map/route_graph map/rules map/spread map/support)
  list(APPEND wasm_sources ${PROJECT_SOURCE_DIR}/src/${name}.c)
endforeach()
file(GLOB wasm_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*/*.h ${PROJECT_SOURCE_DIR}/src/kernel/isa/*.h)
# What a page never runs, as it does not train, or runs for few places at a time (norm; iso_decode_gene has its own loops): made small instead of fast.
set(wasm_idle ${wasm_sources})
list(FILTER wasm_idle INCLUDE REGEX "isa/(adam|bf16|lik_|noise|norm|sparse)|kernel/(amx|layer)|op/(csr_linear|linear|dropout|elbo|gaussian_kl|normal_kl|likelihood|image_likelihood)")
list(REMOVE_ITEM wasm_sources ${wasm_idle})
set(wasm_compile ${ISO_WASM_CC} ${wasm_flags} -std=gnu11 -flto -msimd128 -DNDEBUG -D_GNU_SOURCE
  -DISO_ISA=baseline -DISO_ISA_baseline=1 -ffp-contract=off -fno-math-errno -fno-trapping-math -fvisibility=hidden -Wall
  -Wno-tautological-constant-out-of-range-compare -I${PROJECT_SOURCE_DIR}/include -I${PROJECT_SOURCE_DIR}/src)
set(wasm_objects)
foreach(source ${wasm_idle})
  get_filename_component(name ${source} NAME_WE)
  get_filename_component(folder ${source} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  set(object ${PROJECT_BINARY_DIR}/generated/wasm/${folder}_${name}.o)
  add_custom_command(OUTPUT ${object} VERBATIM COMMAND ${wasm_compile} -Oz -c ${source} -o ${object}
    DEPENDS ${source} ${wasm_headers} ${PROJECT_SOURCE_DIR}/include/isolario.h ${CMAKE_CURRENT_LIST_FILE})
  list(APPEND wasm_objects ${object})
endforeach()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated/wasm)
add_custom_command(OUTPUT ${page_made}/explorer.wasm VERBATIM
  COMMAND ${wasm_compile} -mexec-model=reactor -O3 ${wasm_sources} ${wasm_objects} -o ${page_made}/explorer.wasm -Wl,--strip-all -Wl,--gc-sections
    -Wl,-z,stack-size=1048576
  DEPENDS ${wasm_sources} ${wasm_objects} ${wasm_headers} ${PROJECT_SOURCE_DIR}/include/isolario.h ${CMAKE_CURRENT_LIST_FILE})
