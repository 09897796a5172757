"""PyTorch: a module and a loop, eager or with `torch.compile`.

The images are one tensor, and a batch is a selection of its rows, which is faster than the
`DataLoader` of PyTorch's own example.
"""

import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self, architecture, params, bernoulli=False, kl_weight=1.0):
        super().__init__()
        self.bernoulli, self.kl_weight = bernoulli, kl_weight
        height, width, channels = params.image_shape
        pixels, latent = height * width * channels, params.latent_size
        if architecture == "conv":
            first, last = params.conv_filters
            smallest = (last, height // 4, width // 4)
            features = last * height * width // 16
            units = params.conv_units
            self.encoder = nn.Sequential(
                nn.Conv2d(channels, first, params.conv_kernel, 2, padding=1), nn.ReLU(),
                nn.Conv2d(first, last, params.conv_kernel, 2, padding=1), nn.ReLU(),
                nn.Flatten(), nn.Linear(features, units), nn.ReLU(),
            )  # fmt: skip
            self.decoder = nn.Sequential(
                nn.Linear(latent, units), nn.ReLU(),
                nn.Linear(units, features), nn.ReLU(), nn.Unflatten(1, smallest),
                nn.ConvTranspose2d(last, first, params.conv_kernel, 2, padding=1), nn.ReLU(),
                nn.ConvTranspose2d(first, channels, params.conv_kernel, 2, padding=1),
            )  # fmt: skip
        else:
            first, units = params.mlp_encoder_units
            (back,) = params.mlp_decoder_units
            self.encoder = nn.Sequential(
                nn.Flatten(), nn.Linear(pixels, first), nn.ReLU(),
                nn.Linear(first, units), nn.ReLU(),
            )  # fmt: skip
            self.decoder = nn.Sequential(
                nn.Linear(latent, back), nn.ReLU(), nn.Linear(back, pixels),
                nn.Unflatten(1, (channels, height, width)),
            )  # fmt: skip
        self.mean, self.log_std = nn.Linear(units, latent), nn.Linear(units, latent)

    def encode(self, images):
        hidden = self.encoder(images)
        return self.mean(hidden), self.log_std(hidden)

    def forward(self, images):
        mean, log_std = self.encode(images)
        means = torch.sigmoid(self.decoder(mean + torch.exp(log_std) * torch.randn_like(mean)))
        if self.bernoulli:
            error = functional.binary_cross_entropy(means, images, reduction="none")
        else:
            error = (images - means).square()
        kl = 0.5 * mean.square() + 0.5 * torch.exp(2 * log_std) - log_std - 0.5
        return (error.sum(dim=(1, 2, 3)) + self.kl_weight * kl.sum(dim=1)).mean()


def prepare(architecture, params, pool, compiled=False):
    torch.manual_seed(0)
    net = Net(architecture, params)
    loss_of = torch.compile(net) if compiled else net
    optimizer = torch.optim.Adam(net.parameters(), params.learning_rate)
    images = torch.from_numpy(pool).permute(0, 3, 1, 2).contiguous()

    def train(steps):
        order = torch.randperm(len(images))[: steps * params.batch_size]
        for rows in order.split(params.batch_size):
            optimizer.zero_grad()
            loss_of(images[rows]).backward()
            optimizer.step()

    return train
