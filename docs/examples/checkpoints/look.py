import landscape as ls

from nets import cnn

digits = ls.dataset("digits", examples=300)
checkpoints = "checkpoints/epoch_*.pt"
path = ls.path(cnn(), digits, checkpoints=checkpoints)
surface = ls.plane(cnn(), digits, checkpoints=checkpoints, alpha=(-0.5, 1.5, 17), beta=(-1, 1, 17))
ls.draw.trajectories(path, surface).savefig("path.png")
print(f"loss from {path.saved_loss[0]:.1f} to {path.saved_loss[-1]:.2f}")
