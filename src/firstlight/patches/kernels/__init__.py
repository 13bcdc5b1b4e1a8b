"""The inner loops: sums of products of patch entries, on the CPU and on a device."""
