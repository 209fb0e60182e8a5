"""The HTTP doors of commerce: Starlette routes that the application of one machine, or a function on AWS, mounts."""
