# Makes the man pages. @SYNOPSIS@, @COMMANDS@, @QUEUE_COMMANDS@, @LOG_EVENTS@ and
# @STATUS_FIELDS@ in a page become lists of the rows of a table in the program, which is the
# only place for these facts.

# The rows of an X-macro between its clang-format comments, as text; each comment between
# rows becomes a paragraph.
function(read_table OUT FILE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${FILE})
  file(READ ${CMAKE_SOURCE_DIR}/${FILE} TEXT)
  string(REGEX REPLACE "^.*/\\* clang-format off \\*/\n[^\n]*\n" "" TEXT "${TEXT}")
  string(REGEX REPLACE "\n/\\* clang-format on \\*/.*$" "\n" TEXT "${TEXT}")
  string(REGEX REPLACE " +/\\* ([^\n]*) \\*/ *\\\\\n" ".El\n.Pp\nOf \\1:\n.Bl -tag -width Ds -compact\n" TEXT "${TEXT}")
  set(${OUT} "${TEXT}" PARENT_SCOPE)
endfunction()

set(COMMAND_ROW " +COMMAND\\(([a-z]+), \"([^\"]*)\", \"([^\"]*)\"\\)[^\n]*\n")
read_table(ROWS bridge/cmd/cmd.h)
string(REGEX REPLACE "${COMMAND_ROW}" ".Nm\n.Cm \\1\n\\2\n" SYNOPSIS "${ROWS}")
string(REGEX REPLACE "${COMMAND_ROW}" ".It Cm \\1\n\\3\n" COMMANDS ".Bl -tag -width queue -compact\n${ROWS}.El\n")
read_table(ROWS bridge/cmd/queue.h)
string(REGEX REPLACE "${COMMAND_ROW}" ".It Cm queue \\1\n\\3\n" QUEUE_COMMANDS
       ".Bl -tag -width \"queue export\" -compact\n${ROWS}.El\n")

read_table(LOG_EVENTS bridge/base/event.h)
string(REGEX REPLACE " +EVENT\\([A-Z_]+, \"([^\"]*)\", \"([^\"]*)\"\\)[^\n]*\n" ".It Li \\1\n\\2\n" LOG_EVENTS "${LOG_EVENTS}")
string(REGEX REPLACE "^[.]El\n[.]Pp\n" "" LOG_EVENTS "${LOG_EVENTS}")

read_table(STATUS_FIELDS bridge/text/status_fields.h)
set(STATUS_FIELDS ".Bl -tag -width Ds -compact\n${STATUS_FIELDS}")
string(REPLACE "\", bool, \"" "\", true or false, \"" STATUS_FIELDS "${STATUS_FIELDS}")
string(REGEX REPLACE ", \"\", \"([^\"]*\"\\)[^\n]*\n)" ", \"\\1" STATUS_FIELDS "${STATUS_FIELDS}") # no unit
string(REGEX REPLACE ", \"([^\"]+)\", \"([^\"]*\"\\)[^\n]*\n)" " of \\1, \"\\2" STATUS_FIELDS "${STATUS_FIELDS}")
string(REGEX REPLACE "FIELD\\([A-Z_0-9]+, \"\", " "FIELD(" STATUS_FIELDS "${STATUS_FIELDS}")
string(REGEX REPLACE "FIELD\\([A-Z_0-9]+, \"([^\"]+)\", \"" "FIELD(\"\\1." STATUS_FIELDS "${STATUS_FIELDS}")
string(REGEX REPLACE " +FIELD\\(\"([^\"]*)\", ([^\"]*), \"([^\"]*)\"\\)[^\n]*\n" ".It Li \\1 Pq \\2\n\\3\n"
       STATUS_FIELDS "${STATUS_FIELDS}")

file(GLOB MAN_PAGES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/config/man/*.[1-9])
foreach(PAGE ${MAN_PAGES})
  cmake_path(GET PAGE FILENAME NAME)
  cmake_path(GET PAGE EXTENSION LAST_ONLY SECTION)
  string(SUBSTRING ${SECTION} 1 1 SECTION)
  configure_file(${PAGE} ${CMAKE_BINARY_DIR}/man/${NAME} @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/man/${NAME} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${SECTION})
endforeach()
