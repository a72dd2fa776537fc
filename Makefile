# Modules from left to right: a module includes headers of modules to its left only (`make lint` proves it).
MODULES = cause buffer text log map ini config field schema
