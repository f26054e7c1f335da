# What `cmake --install` puts where: program, shared and static library, header, pkg-config file.
