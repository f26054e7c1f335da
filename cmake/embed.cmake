# Turns the files of src/web/ into C arrays in generated/web_sources.c, declared in src/io/report_web.h. This file is both:
# included, it adds the command that makes them; run with -P, it is that command. Sets web_sources for library.cmake.
if(CMAKE_SCRIPT_MODE_FILE)
  set(out "/* Made by cmake/embed.cmake from src/web/. */\n#include \"io/report_web.h\"\n")
  foreach(file ${FILES})
    get_filename_component(name ${file} NAME)
    string(REPLACE "." "_" name ${name})
    file(READ ${file} bytes HEX)
    string(LENGTH "${bytes}" size)
    math(EXPR size "${size} / 2")
    if(size EQUAL 0)
      set(bytes 00)
    endif()
    string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    file(SHA256 ${file} sha256)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," sha256 "${sha256}")
    string(APPEND out "\nstatic const unsigned char ${name}[] = {\n${bytes}\n};\n"
      "const iso_web_file iso_web_${name} = {${name}, ${size}, {${sha256}}};\n")
  endforeach()
  file(WRITE ${OUT} "${out}")
  return()
endif()

set(web_sources)
if(NOT ISO_CORE_ONLY)
  file(GLOB web_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/web/*.html ${PROJECT_SOURCE_DIR}/src/web/*.css
    ${PROJECT_SOURCE_DIR}/src/web/*.js)
  list(APPEND web_files ${page_files})
  set(web_sources ${PROJECT_BINARY_DIR}/generated/web_sources.c)
  add_custom_command(OUTPUT ${web_sources} VERBATIM
    COMMAND ${CMAKE_COMMAND} "-DFILES=${web_files}" -DOUT=${web_sources} -P ${CMAKE_CURRENT_LIST_FILE}
    DEPENDS ${web_files} ${CMAKE_CURRENT_LIST_FILE})
  add_custom_target(web_sources_made DEPENDS ${web_sources})
endif()
