// The webcam's dialog: one picture, handed to whoever asked. Part of the stage's script, and runs before it.

const webcam = element.querySelector(".v-webcam"), video = webcam.querySelector("video");
let takePicture = null;

async function startWebcam(use) {
  takePicture = use;
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
  } catch {
    trigger("problem", { message: "The webcam cannot be used; allow it in the browser, or open a photo instead." });
    return;
  }
  webcam.showModal();
}
function stopWebcam() {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  if (webcam.open) webcam.close();
}
function shoot() {
  const shot = document.createElement("canvas");
  shot.width = video.videoWidth;
  shot.height = video.videoHeight;
  if (!shot.width) return;
  shot.getContext("2d").drawImage(video, 0, 0);
  stopWebcam();
  shot.toBlob((blob) => takePicture(new File([blob], "webcam.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
}
webcam.addEventListener("close", stopWebcam);

