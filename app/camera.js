// The webcam's dialog: one picture, handed to whoever asked. Part of the stage's script, and runs before it.

const webcam = element.querySelector(".v-webcam"), video = webcam.querySelector("video");
// By the name of what getUserMedia fails with; any other is as if it were in use.
const NO_WEBCAM = {
  NotAllowedError: "The browser does not let this page use the webcam; allow it there, or open a photo instead.",
  NotFoundError: "No webcam was found; connect one, or open a photo instead.",
  TypeError: "Browsers give the webcam to pages over https or on this computer alone; open a photo instead.",
  NotReadableError: "The webcam cannot be used, perhaps because another program does; close that, or open a photo instead.",
};
let takePicture = null;

async function startWebcam(use) {
  takePicture = use;
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
  } catch (error) {
    say(NO_WEBCAM[error.name] ?? NO_WEBCAM.NotReadableError);
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

