"""What the program says when it is given no command: where to begin."""

OVERVIEW = """\
firstlight: what does the first layer of a convolutional network learn?

What has this network learnt?
  firstlight inspect checkpoint.pth
How alike are several?
  firstlight compare a.pth b.safetensors c.onnx
Do the published claims hold? (recorded results, nothing is trained)
  firstlight reproduce --recorded
What do the patches of my images look like?
  firstlight moments photographs/ --kernel-size 3 --out patches.npz
What would a linear network learn from them?
  firstlight theory --data cifar10

All commands: firstlight --help; the options of one: firstlight COMMAND --help
"""
